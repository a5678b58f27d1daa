/*
 * What it costs a server to keep what is registered alive. Loads; then, for --seconds, each connection sends --renew
 * every --every seconds, all of them evenly spread, and one more connection sends a --query a millisecond after the
 * answer to the one before. Says what share of a core the server took, and how long the queries took.
 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define EVENTS 64
#define BETWEEN_QUERIES_NS 1000000u

struct beats {
  struct pool *pool;
  const struct options *options;
  struct connection *asker;
  uint64_t started_at, sent, answered;
  unsigned asked;      /* the number of the latest query */
  uint64_t asked_at;   /* 0 while none is under way */
  uint64_t ask_at;     /* when the next one is due */
  struct histogram queries, renewals;
};

static void send_one(struct connection *connection, const struct template *request, unsigned n, unsigned c) {
  char rendered[4096];
  render(request, n, c, rendered);
  send_all(connection->fd, (struct text){rendered, request->text.length});
}

/* When the n-th renewal of all is due. */
static uint64_t renewal_at(const struct beats *beats, uint64_t n) {
  return beats->started_at + (uint64_t)((double)n * beats->options->every * 1e9 / beats->pool->count);
}

static void send_due(struct beats *beats, uint64_t now) {
  for (; renewal_at(beats, beats->sent) <= now; beats->sent += 1) {
    struct connection *connection = &beats->pool->connections[beats->sent % beats->pool->count];
    connection->sent_at = now_ns();
    send_one(connection, &beats->options->renew, 0, connection->index);
  }
  if (beats->asked_at != 0 || now < beats->ask_at) return;
  /* A step that is prime to all round numbers leads through all of them. */
  beats->asked = (unsigned)((beats->asked + 7919) % beats->options->total);
  beats->asked_at = now_ns();
  send_one(beats->asker, &beats->options->query, beats->asked, 0);
}

static void read_reply(struct beats *beats, struct connection *connection) {
  receive(connection);
  size_t length = reply_length(beats->pool->framing, connection->in, connection->held);
  if (length == 0) return;
  bool is_query = connection == beats->asker;
  const struct template *pattern = is_query ? &beats->options->answer : &beats->options->renewed;
  if (!matches(pattern, beats->asked, connection->index, connection->in, length)) {
    die("wrong reply: %.*s\nexpected: %.*s", (int)length, connection->in, (int)pattern->text.length, pattern->text.bytes);
  }
  consume(connection, length);
  uint64_t now = now_ns();
  if (!is_query) {
    record(&beats->renewals, now - connection->sent_at, 1);
    beats->answered += 1;
    return;
  }
  record(&beats->queries, now - beats->asked_at, 1);
  beats->asked_at = 0;
  beats->ask_at = now + BETWEEN_QUERIES_NS;
}

int main(int argc, char **argv) {
  struct options options = read_options(argc, argv);
  struct pool pool = open_pool(options.port, options.connections, options.framing, options.hello);
  prepare(&pool, &options);
  load_shares(&pool, &options);
  struct pool askers = open_pool(options.port, 1, options.framing, options.hello);
  struct epoll_event asker = {.events = EPOLLIN, .data.ptr = askers.connections};
  epoll_ctl(pool.epoll, EPOLL_CTL_ADD, askers.connections->fd, &asker);

  static struct beats beats;
  beats = (struct beats){.pool = &pool, .options = &options, .asker = askers.connections, .started_at = now_ns()};
  uint64_t server_cpu = cpu_ns(options.server), end = beats.started_at + (uint64_t)(options.seconds * 1e9), now;
  struct epoll_event events[EVENTS];
  while ((now = now_ns()) < end) {
    send_due(&beats, now);
    int count = epoll_wait(pool.epoll, events, EVENTS, 1);
    for (int k = 0; k < count; k += 1) read_reply(&beats, events[k].data.ptr);
  }
  double share = (double)(cpu_ns(options.server) - server_cpu) / (double)(now - beats.started_at);
  if (beats.sent - beats.answered > pool.count / 10) die("%lu renewals were not answered", beats.sent - beats.answered);
  printf("{\"renewals\":%lu,\"renewal50\":%.1f,\"renewal99\":%.1f,", beats.answered, quantile(&beats.renewals, 0.5),
         quantile(&beats.renewals, 0.99));
  printf("\"queries\":%lu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"serverShare\":%.4f}\n", beats.queries.count,
         quantile(&beats.queries, 0.5), quantile(&beats.queries, 0.99), (double)beats.queries.max / 1000, share);
  return 0;
}
