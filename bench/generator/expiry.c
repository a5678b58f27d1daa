/*
 * How late what expires is told of. Loads, has one more connection --subscribe to what expires, and then lets each
 * connection of the load renew all that it has, evenly over one second, and never again. When each connection's part is
 * due is reckoned from the sending of the renewal, so that what the server takes until it has read it counts as late.
 * In an event the number of the request that registered the instance follows --event. The server's processor time is
 * that from the last renewal to the last event, for each instance.
 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* It is given up when for so long nothing has expired that was due. */
#define PATIENCE_MS 30000

static void sleep_until(uint64_t at) {
  uint64_t now = now_ns();
  if (at > now) usleep((useconds_t)((at - now) / 1000));
}

/* One connection more, which hears what expires from now on. */
static struct pool open_listener(const struct options *options) {
  struct pool listener = open_pool(options->port, 1, options->framing, options->hello);
  struct epoll_event event;
  send_all(listener.connections->fd, options->subscribe.text);
  do {
    if (epoll_wait(listener.epoll, &event, 1, PATIENCE_MS) == 0) die("the watch has not begun");
    receive(listener.connections);
  } while (take_marks(listener.connections, options->synced) == 0);
  return listener;
}

/* @return how many requests were sent. */
static uint64_t renew(struct pool *pool, const struct options *options, uint64_t *due) {
  unsigned share = share_of(pool, options), each = has_number(&options->renew) ? share : 1;
  size_t length = options->renew.text.length;
  char *requests = malloc(each * length);
  uint64_t start = now_ns();
  for (unsigned index = 0; index < pool->count; index += 1) {
    for (unsigned k = 0; k < each; k += 1) render(&options->renew, index * share + k, index, requests + k * length);
    sleep_until(start + index * 1000000000ull / pool->count);
    due[index] = now_ns() + (uint64_t)(options->ttl * 1e9);
    send_all(pool->connections[index].fd, (struct text){requests, each * length});
  }
  free(requests);
  return (uint64_t)each * pool->count;
}

static void await_renewals(struct pool *pool, const struct options *options, uint64_t wanted) {
  while (wanted > 0) {
    struct epoll_event event;
    if (epoll_wait(pool->epoll, &event, 1, PATIENCE_MS) == 0) die("%lu renewals were not answered", wanted);
    struct connection *connection = event.data.ptr;
    receive(connection);
    size_t length;
    while ((length = reply_length(pool->framing, connection->in, connection->held)) > 0) {
      if (!matches(&options->renewed, 0, connection->index, connection->in, length)) {
        die("wrong reply to a renewal: %.*s", (int)length, connection->in);
      }
      consume(connection, length);
      wanted -= 1;
    }
  }
}

struct lateness {
  struct histogram histogram;
  uint64_t early; /* how many were told of before they were due */
};

/* @return where the event ends; 0 where there is none, or its digits have not come yet. */
static size_t read_event(struct connection *listener, const struct options *options, size_t from, unsigned *number) {
  char *end = listener->in + listener->held;
  char *at = memmem(listener->in + from, (size_t)(end - listener->in) - from, options->event.bytes, options->event.length);
  if (at == NULL || end - at < (ptrdiff_t)options->event.length + DIGITS) return 0;
  char digits[DIGITS + 1] = {0};
  memcpy(digits, at + options->event.length, DIGITS);
  *number = (unsigned)strtoul(digits, NULL, 10);
  return (size_t)(at - listener->in) + options->event.length + DIGITS;
}

/* @return how many have not come. They count as late as they can be said to be: until it was given up. */
static uint64_t listen_to(struct pool *listener, const struct options *options, const uint64_t *due, unsigned share,
                          struct lateness *lateness) {
  struct connection *connection = listener->connections;
  uint64_t missing = options->total * options->times, now = now_ns(), last = due[options->connections - 1];
  struct epoll_event event;
  while (missing > 0 && now < last + PATIENCE_MS * 1000000ull) {
    int count = epoll_wait(listener->epoll, &event, 1, 1000);
    now = now_ns();
    if (count == 0) continue;
    receive(connection);
    unsigned number;
    size_t at = 0, next;
    for (; (next = read_event(connection, options, at, &number)) > 0; at = next, missing -= 1) {
      uint64_t at_due = due[number / share];
      lateness->early += now < at_due;
      record(&lateness->histogram, now < at_due ? 0 : now - at_due, 1);
      if (now > last) last = now;
    }
    /* Of the rest only its end can be the beginning of an event. */
    size_t tail = options->event.length + DIGITS;
    if (connection->held - at > tail) at = connection->held - tail;
    consume(connection, at);
  }
  if (missing > 0) record(&lateness->histogram, now - due[0], missing);
  return missing;
}

int main(int argc, char **argv) {
  struct options options = read_options(argc, argv);
  struct pool pool = open_pool(options.port, options.connections, options.framing, options.hello);
  prepare(&pool, &options);
  load_shares(&pool, &options);
  struct pool listener = open_listener(&options);
  uint64_t *due = calloc(pool.count, sizeof *due);
  await_renewals(&pool, &options, renew(&pool, &options, due));
  if (now_ns() >= due[0]) die("the first were due before all renewals were answered");
  static struct lateness lateness;
  uint64_t server_cpu = cpu_ns(options.server);
  uint64_t missing = listen_to(&listener, &options, due, share_of(&pool, &options), &lateness);
  uint64_t told = lateness.histogram.count - missing;
  printf("{\"told\":%lu,\"missing\":%lu,\"early\":%lu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"serverCpu\":%.3f}\n",
         told, missing, lateness.early, quantile(&lateness.histogram, 0.5),
         quantile(&lateness.histogram, 0.99), (double)lateness.histogram.max / 1000,
         (double)(cpu_ns(options.server) - server_cpu) / 1e3 / (double)lateness.histogram.count);
  return 0;
}
