#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PER_ADDRESS 100

struct text unescape(const char *argument) {
  struct text text = {malloc(strlen(argument) + 1), 0};
  for (const char *at = argument; *at != '\0'; at += 1) {
    char byte = *at;
    if (byte == '\\') {
      at += 1;
      if (*at == 'r') byte = '\r';
      else if (*at == 'n') byte = '\n';
      else if (*at == '\\') byte = '\\';
      else if (*at == 'x' && at[1] != '\0' && at[2] != '\0') {
        byte = (char)strtol((char[]){at[1], at[2], '\0'}, NULL, 16);
        at += 2;
      } else die("no such escape: %s", at - 1);
    }
    text.bytes[text.length++] = byte;
  }
  return text;
}

struct template template_of(const char *argument) {
  struct text source = unescape(argument);
  struct template template = {.text = {malloc(source.length + PLACES * DIGITS), 0}};
  for (size_t at = 0; at < source.length; at += 1) {
    const char *bytes = source.bytes + at;
    bool is_place = source.length - at >= 3 && bytes[0] == '{' && bytes[2] == '}' && (bytes[1] == 'n' || bytes[1] == 'c');
    if (!is_place) {
      template.text.bytes[template.text.length++] = *bytes;
      continue;
    }
    if (template.count == PLACES) die("too many counters: %s", argument);
    template.places[template.count].at = template.text.length;
    template.places[template.count++].name = bytes[1];
    template.text.length += DIGITS;
    at += 2;
  }
  free(source.bytes);
  return template;
}

bool has_number(const struct template *template) {
  for (int n = 0; n < template->count; n += 1) if (template->places[n].name == 'n') return true;
  return false;
}

static void write_digits(char *to, unsigned number) {
  for (int digit = DIGITS - 1; digit >= 0; digit -= 1, number /= 10) to[digit] = (char)('0' + number % 10);
}

void render(const struct template *template, unsigned n, unsigned c, char *to) {
  memcpy(to, template->text.bytes, template->text.length);
  for (int k = 0; k < template->count; k += 1) {
    write_digits(to + template->places[k].at, template->places[k].name == 'n' ? n : c);
  }
}

struct framing framing_of(const char *argument) {
  if (strncmp(argument, "lines:", 6) == 0) return (struct framing){LINES, atoi(argument + 6)};
  if (strcmp(argument, "length") == 0) return (struct framing){LENGTH, 0};
  if (strcmp(argument, "http") == 0) return (struct framing){HTTP, 0};
  die("no such framing: %s", argument);
}

static size_t lines_length(int lines, const char *bytes, size_t held) {
  const char *at = bytes;
  for (; lines > 0; lines -= 1) {
    at = memchr(at, '\n', held - (size_t)(at - bytes));
    if (at == NULL) return 0;
    at += 1;
  }
  return (size_t)(at - bytes);
}

static size_t http_length(const char *bytes, size_t held) {
  static const char length_field[] = "\r\nContent-Length: ", last_chunk[] = "\r\n0\r\n\r\n";
  const char *body = memmem(bytes, held, "\r\n\r\n", 4);
  if (body == NULL) return 0;
  body += 4;
  const char *field = memmem(bytes, (size_t)(body - bytes), length_field, sizeof length_field - 1);
  if (field == NULL) {
    /* Chunked, and our replies have nothing in them that looks like the last chunk. */
    const char *last = memmem(body, held - (size_t)(body - bytes), last_chunk, sizeof last_chunk - 1);
    return last == NULL ? 0 : (size_t)(last - bytes) + sizeof last_chunk - 1;
  }
  size_t length = (size_t)(body - bytes) + strtoul(field + sizeof length_field - 1, NULL, 10);
  return length <= held ? length : 0;
}

size_t reply_length(struct framing framing, const char *bytes, size_t held) {
  if (framing.kind == LINES) return lines_length(framing.lines, bytes, held);
  if (framing.kind == HTTP) return http_length(bytes, held);
  uint32_t length;
  if (held < sizeof length) return 0;
  memcpy(&length, bytes, sizeof length);
  size_t whole = sizeof length + ntohl(length);
  return whole <= held ? whole : 0;
}

bool matches(const struct template *pattern, unsigned n, unsigned c, const char *reply, size_t length) {
  char rendered[4096];
  if (pattern->text.length > sizeof rendered) die("the pattern is too long");
  render(pattern, n, c, rendered);
  const char *at = rendered, *end = rendered + pattern->text.length, *last = reply + length;
  /* Where to go on if what follows the latest * was not the right place. */
  const char *star = NULL, *again = NULL;
  while (reply < last) {
    if (at < end && *at == '*') {
      star = ++at;
      again = reply;
    } else if (at < end && *at == *reply) {
      at += 1;
      reply += 1;
    } else if (star != NULL) {
      at = star;
      reply = ++again;
    } else {
      return false;
    }
  }
  while (at < end && *at == '*') at += 1;
  return at == end;
}

int dial(int port, unsigned index) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101 + index / PER_ADDRESS)};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fd == -1 || bind(fd, (struct sockaddr *)&from, sizeof from) == -1) die("connection %u: %s", index, strerror(errno));
  if (connect(fd, (struct sockaddr *)&to, sizeof to) == -1) die("connection %u: %s", index, strerror(errno));
  return fd;
}

void send_all(int fd, struct text text) {
  while (text.length > 0) {
    ssize_t sent = send(fd, text.bytes, text.length, MSG_NOSIGNAL);
    if (sent == -1 && errno == EAGAIN) {
      poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
      continue;
    }
    if (sent == -1) die("send: %s", strerror(errno));
    text.bytes += sent;
    text.length -= (size_t)sent;
  }
}

static uint64_t read_clock(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) == -1) die("clock: %s", strerror(errno));
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t now_ns(void) {
  return read_clock(CLOCK_MONOTONIC);
}

uint64_t cpu_ns(pid_t pid) {
  clockid_t clock;
  if (clock_getcpuclockid(pid, &clock) != 0) die("no process %d", (int)pid);
  return read_clock(clock);
}

/* The position of the highest bit, and the six below it: buckets that are 1/64 to 1/128 wide. */
static unsigned bucket_of(uint64_t ns) {
  if (ns < 64) return (unsigned)ns;
  unsigned high = 63 - (unsigned)__builtin_clzll(ns);
  return (high - 5) * 64 + (unsigned)(ns >> (high - 6) & 63);
}

static uint64_t top_of(unsigned bucket) {
  if (bucket < 64) return bucket;
  unsigned shift = bucket / 64 - 1;
  return ((64ull + bucket % 64 + 1) << shift) - 1;
}

void record(struct histogram *histogram, uint64_t ns, uint64_t count) {
  histogram->buckets[bucket_of(ns)] += count;
  histogram->count += count;
  if (ns > histogram->max) histogram->max = ns;
}

double quantile(const struct histogram *histogram, double share) {
  uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;
  unsigned bucket = 0;
  while (bucket < 64 * 64 - 1 && (seen += histogram->buckets[bucket]) <= wanted) bucket += 1;
  uint64_t top = top_of(bucket);
  return (double)(top < histogram->max ? top : histogram->max) / 1000;
}

void die(const char *format, ...) {
  va_list values;
  va_start(values, format);
  vfprintf(stderr, format, values);
  va_end(values);
  fputc('\n', stderr);
  exit(1);
}
