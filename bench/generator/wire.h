/*
 * What passes over a connection, as the generators see it: requests with a counter in them, where a reply ends,
 * whether it is the right one. And the clocks.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct text {
  char *bytes;
  size_t length;
};

/* The bytes meant by an argument: \r, \n, \\ and \xHH are escapes, as no argument can hold a zero byte. */
struct text unescape(const char *argument);

/* Every counter has so many digits, so that all requests of a kind are equally long. */
#define DIGITS 8
#define PLACES 512

/* A text with counters in it: {n} is the number of the request, {c} that of the connection. */
struct template {
  struct text text; /* with room for the digits */
  int count;
  struct { size_t at; char name; } places[PLACES];
};

struct template template_of(const char *argument);
bool has_number(const struct template *template);
/* Writes template->text.length bytes. */
void render(const struct template *template, unsigned n, unsigned c, char *to);

/* Where a reply ends: after so many lines; after as many bytes as its first four say; where HTTP says. */
struct framing {
  enum { LINES, LENGTH, HTTP } kind;
  int lines;
};

/* From "lines:N", "length" or "http". */
struct framing framing_of(const char *argument);
/* The length of the first reply, or 0 where it is not complete. */
size_t reply_length(struct framing framing, const char *bytes, size_t held);

/* Whether it is the reply of that number. In a pattern * stands for any bytes. */
bool matches(const struct template *pattern, unsigned n, unsigned c, const char *reply, size_t length);

/*
 * A connection to 127.0.0.1, blocking. The index-th comes from an address that it shares with few others, as the
 * system takes long to find a free port for an address that has thousands.
 */
int dial(int port, unsigned index);
/* Sends all of it, however long it takes, whether the connection blocks or not. */
void send_all(int fd, struct text text);

uint64_t now_ns(void);
/* Processor time that a process (0: this one) has used since it began, in ns, all threads together. */
uint64_t cpu_ns(pid_t pid);

/* Durations, each kept to within 2 %. */
struct histogram {
  uint64_t count;
  uint64_t max;
  uint64_t buckets[64 * 64];
};

void record(struct histogram *histogram, uint64_t ns, uint64_t count);
/* What a share of them did not exceed, in microseconds. */
double quantile(const struct histogram *histogram, double share);

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
