/*
 * What it costs a server to keep what is registered alive. Loads; then, for --seconds, each connection sends --renew
 * every --every seconds, all of them evenly spread and whether or not the one before was answered; the first --warmup of
 * all do not count. If there is a --query, one more connection sends one a millisecond after the answer to the one
 * before. Says what share of a core the server took, and how long renewals and queries took.
 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define EVENTS 64
#define BETWEEN_QUERIES_NS 1000000u
/* How many renewals can be without an answer. */
#define UNANSWERED (1u << 20)

struct beats {
  struct pool *pool;
  const struct options *options;
  struct connection *asker; /* NULL where there are no queries */
  uint64_t started_at, sent, answered;
  uint64_t *sent_at; /* of the n-th renewal, at n % UNANSWERED */
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
    if (beats->sent - beats->answered == UNANSWERED) die("%u renewals are not answered", UNANSWERED);
    beats->sent_at[beats->sent % UNANSWERED] = now_ns();
    send_one(connection, &beats->options->renew, 0, connection->index);
  }
  if (beats->asker == NULL || beats->asked_at != 0 || now < beats->ask_at) return;
  beats->asked = (unsigned)((beats->asked + STEP) % beats->options->total);
  beats->asked_at = now_ns();
  send_one(beats->asker, &beats->options->query, beats->asked, 0);
}

/* @return whether there was one. */
static bool read_reply(struct beats *beats, struct connection *connection) {
  size_t length = reply_length(beats->pool->framing, connection->in, connection->held);
  if (length == 0) return false;
  bool is_query = connection == beats->asker;
  const struct template *pattern = is_query ? &beats->options->answer : &beats->options->renewed;
  if (!matches(pattern, beats->asked, connection->index, connection->in, length)) {
    die("wrong reply: %.*s\nexpected: %.*s", (int)length, connection->in, (int)pattern->text.length, pattern->text.bytes);
  }
  consume(connection, length);
  uint64_t now = now_ns();
  if (is_query) {
    record(&beats->queries, now - beats->asked_at, 1);
    beats->asked_at = 0;
    beats->ask_at = now + BETWEEN_QUERIES_NS;
    return true;
  }
  uint64_t n = connection->index + (uint64_t)connection->answered * beats->pool->count;
  record(&beats->renewals, now - beats->sent_at[n % UNANSWERED], 1);
  connection->answered += 1;
  beats->answered += 1;
  return true;
}

/* Until `end`, or until so many are answered. */
static void beat(struct beats *beats, uint64_t end, uint64_t answers) {
  struct epoll_event events[EVENTS];
  uint64_t now;
  while ((now = now_ns()) < end && beats->answered < answers) {
    send_due(beats, now);
    int count = epoll_wait(beats->pool->epoll, events, EVENTS, 1);
    for (int k = 0; k < count; k += 1) {
      receive(events[k].data.ptr);
      while (read_reply(beats, events[k].data.ptr)) continue;
    }
  }
}

static struct connection *open_asker(struct pool *pool, const struct options *options) {
  if (options->query.text.length == 0) return NULL;
  struct pool askers = open_pool(options->port, 1, options->framing, options->hello);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = askers.connections};
  epoll_ctl(pool->epoll, EPOLL_CTL_ADD, askers.connections->fd, &event);
  return askers.connections;
}

int main(int argc, char **argv) {
  struct options options = read_options(argc, argv);
  struct pool pool = open_pool(options.port, options.connections, options.framing, options.hello);
  prepare(&pool, &options);
  load_shares(&pool, &options);
  for (unsigned index = 0; index < pool.count; index += 1) pool.connections[index].answered = 0;

  static struct beats beats;
  beats = (struct beats){.pool = &pool, .options = &options, .asker = open_asker(&pool, &options)};
  beats.sent_at = calloc(UNANSWERED, sizeof *beats.sent_at);
  beats.started_at = now_ns();
  beat(&beats, UINT64_MAX, options.warmup);
  memset(&beats.renewals, 0, sizeof beats.renewals);
  memset(&beats.queries, 0, sizeof beats.queries);

  uint64_t start = now_ns(), cpu = cpu_ns(options.server), own_cpu = cpu_ns(0);
  beat(&beats, start + (uint64_t)(options.seconds * 1e9), UINT64_MAX);
  double elapsed = (double)(now_ns() - start), server = (double)(cpu_ns(options.server) - cpu);
  if (beats.sent - beats.answered > 100 + pool.count / 10) die("%lu renewals are not answered", beats.sent - beats.answered);
  printf("{\"renewals\":%lu,\"renewal50\":%.1f,\"renewal99\":%.1f,", beats.renewals.count,
         quantile(&beats.renewals, 0.5), quantile(&beats.renewals, 0.99));
  if (beats.asker != NULL) {
    printf("\"queries\":%lu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,", beats.queries.count,
           quantile(&beats.queries, 0.5), quantile(&beats.queries, 0.99), (double)beats.queries.max / 1000);
  }
  printf("\"serverShare\":%.4f,\"serverCpu\":%.3f,\"generatorCpu\":%.4f}\n", server / elapsed,
         server / 1e3 / (double)beats.renewals.count, (double)(cpu_ns(0) - own_cpu) / elapsed);
  return 0;
}
