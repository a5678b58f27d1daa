#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES (1 << 18)
#define EVENTS 512
/* One reply of so many is compared with what it should be. */
#define SAMPLE 31
/* Without an answer for so long it is given up. */
#define PATIENCE_MS 30000

struct pool open_pool(int port, unsigned count, struct framing framing, struct text hello) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  struct pool pool = {epoll_create1(EPOLL_CLOEXEC), count, calloc(count, sizeof(struct connection)), framing};
  for (unsigned index = 0; index < count; index += 1) {
    struct connection *connection = &pool.connections[index];
    connection->index = index;
    connection->fd = dial(port, index);
    connection->in = malloc(IN_BYTES);
    if (hello.length > 0) {
      send_all(connection->fd, hello);
      size_t length;
      do receive(connection); while ((length = reply_length(framing, connection->in, connection->held)) == 0);
      consume(connection, length);
    }
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(pool.epoll, EPOLL_CTL_ADD, connection->fd, &event);
  }
  return pool;
}

void receive(struct connection *connection) {
  if (connection->held == IN_BYTES) die("a reply is longer than %d bytes", IN_BYTES);
  ssize_t length = recv(connection->fd, connection->in + connection->held, IN_BYTES - connection->held, 0);
  if (length > 0) connection->held += (size_t)length;
  else if (length == 0) die("the server has closed connection %u", connection->index);
  else if (errno != EAGAIN && errno != EINTR) die("recv: %s", strerror(errno));
}

void consume(struct connection *connection, size_t length) {
  connection->held -= length;
  memmove(connection->in, connection->in + length, connection->held);
}

unsigned take_marks(struct connection *connection, struct text mark) {
  unsigned count = 0;
  char *from = connection->in, *end = connection->in + connection->held, *at;
  while ((at = memmem(from, (size_t)(end - from), mark.bytes, mark.length)) != NULL) {
    count += 1;
    from = at + mark.length;
  }
  size_t rest = (size_t)(end - from);
  if (rest > mark.length - 1) rest = mark.length - 1;
  consume(connection, connection->held - rest);
  return count;
}

void await_marks(struct pool *pool, struct text mark, unsigned wanted, uint64_t from, struct histogram *histogram) {
  struct epoll_event events[EVENTS];
  while (wanted > 0) {
    int count = epoll_wait(pool->epoll, events, EVENTS, PATIENCE_MS);
    if (count == 0) die("%u watches have not had what they wait for", wanted);
    for (int k = 0; k < count; k += 1) {
      struct connection *connection = events[k].data.ptr;
      receive(connection);
      unsigned marks = take_marks(connection, mark);
      if (marks > wanted) die("a watch has had an event twice");
      if (histogram != NULL && marks > 0) record(histogram, now_ns() - from, marks);
      wanted -= marks;
    }
  }
}

void subscribe(struct pool *pool, const struct options *options) {
  size_t length = options->subscribe.text.length;
  char *request = malloc(length);
  for (unsigned index = 0; index < pool->count; index += 1) {
    for (unsigned k = 0; k < options->each; k += 1) {
      render(&options->subscribe, index * options->each + k, index, request);
      send_all(pool->connections[index].fd, (struct text){request, length});
    }
  }
  free(request);
  await_marks(pool, options->synced, pool->count * options->each, 0, NULL);
}

/* One run of `drive`. */
struct run {
  struct pool *pool;
  const struct work *work;
  struct outcome *outcome;
  uint64_t sent, answered, wanted;
  uint64_t deadline;
  uint64_t started_at, own_cpu, server_cpu; /* when the warm-up was over */
  bool is_warm;
};

/* Who goes around in some keys meets them in no order that memory or a cache could have: by a step that is prime to them. */
static unsigned number_of(const struct work *work, unsigned sequence) {
  return work->first + (work->keys == 0 ? sequence : (unsigned)((uint64_t)sequence * STEP % work->keys));
}

static void flush(struct run *run, struct connection *connection) {
  ssize_t sent = send(connection->fd, connection->out + connection->written, connection->left, MSG_NOSIGNAL);
  if (sent == -1 && errno != EAGAIN) die("send: %s", strerror(errno));
  if (sent == -1) sent = 0;
  connection->left -= (size_t)sent;
  connection->written = connection->left == 0 ? 0 : connection->written + (size_t)sent;
  bool is_waiting = connection->left > 0;
  if (is_waiting == connection->is_waiting) return;
  connection->is_waiting = is_waiting;
  struct epoll_event event = {.events = is_waiting ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = connection};
  epoll_ctl(run->pool->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

static void send_batch(struct run *run, struct connection *connection, uint64_t now) {
  const struct work *work = run->work;
  if (run->is_warm && now > run->deadline) return;
  uint64_t room = run->wanted - run->sent;
  if (work->is_shared_out) room = run->wanted / run->pool->count - connection->next;
  unsigned count = room < work->pipeline ? (unsigned)room : work->pipeline;
  if (count == 0) return;
  connection->first = work->is_shared_out ? connection->index * (unsigned)(run->wanted / run->pool->count) + connection->next
                                          : (unsigned)run->sent;
  for (unsigned k = 0; k < count; k += 1) {
    render(&work->request, number_of(work, connection->first + k), connection->index, connection->out + connection->left);
    connection->left += work->request.text.length;
  }
  connection->next += count;
  connection->sent = count;
  connection->answered = 0;
  connection->sent_at = now;
  run->sent += count;
  flush(run, connection);
}

static void check(struct run *run, struct connection *connection, const char *reply, size_t length) {
  const struct template *pattern = &run->work->reply;
  unsigned n = number_of(run->work, connection->first + connection->answered);
  run->outcome->checked += 1;
  if (matches(pattern, n, connection->index, reply, length)) return;
  die("wrong reply to request %u: %.*s\nexpected: %.*s", n, (int)length, reply, (int)pattern->text.length, pattern->text.bytes);
}

/* Takes the replies from what has come. */
static void read_replies(struct run *run, struct connection *connection, uint64_t now) {
  size_t at = 0, length;
  unsigned before = connection->answered;
  while ((length = reply_length(run->pool->framing, connection->in + at, connection->held - at)) > 0) {
    if (connection->answered == connection->sent) die("a reply to no request: %.*s", (int)length, connection->in + at);
    if ((run->answered + connection->answered) % SAMPLE == 0) check(run, connection, connection->in + at, length);
    connection->answered += 1;
    at += length;
  }
  if (at > 0) consume(connection, at);
  unsigned count = connection->answered - before;
  run->answered += count;
  if (run->is_warm && count > 0) record(&run->outcome->latency, now - connection->sent_at, count);
}

static void begin_measuring(struct run *run, uint64_t now) {
  run->is_warm = true;
  run->outcome->answered = run->answered;
  run->started_at = now;
  run->deadline = now + (uint64_t)(run->work->seconds * 1e9);
  run->own_cpu = cpu_ns(0);
  run->server_cpu = run->work->server == 0 ? 0 : cpu_ns(run->work->server);
}

static void finish(struct run *run) {
  struct outcome *outcome = run->outcome;
  uint64_t server_cpu = run->work->server == 0 ? 0 : cpu_ns(run->work->server) - run->server_cpu;
  outcome->seconds = (double)(now_ns() - run->started_at) / 1e9;
  outcome->answered = run->answered - outcome->answered;
  outcome->own_cpu = (double)(cpu_ns(0) - run->own_cpu) / 1e9 / outcome->seconds;
  outcome->server_cpu = (double)server_cpu / 1e3 / (double)outcome->answered;
}

void drive(struct pool *pool, const struct work *work, struct outcome *outcome) {
  memset(outcome, 0, sizeof *outcome);
  if (work->keys > 0 && work->keys % STEP == 0) die("%u keys: a multiple of %u", work->keys, STEP);
  struct run run = {.pool = pool, .work = work, .outcome = outcome, .wanted = work->warmup + work->total};
  if (work->warmup == 0) begin_measuring(&run, now_ns());
  for (unsigned index = 0; index < pool->count; index += 1) {
    struct connection *connection = &pool->connections[index];
    connection->out = realloc(connection->out, work->pipeline * work->request.text.length);
    connection->next = 0;
    send_batch(&run, connection, now_ns());
  }
  struct epoll_event events[EVENTS];
  while (run.answered < run.sent) {
    int count = epoll_wait(pool->epoll, events, EVENTS, PATIENCE_MS);
    if (count == 0) die("%lu requests have had no answer for %d s", run.sent - run.answered, PATIENCE_MS / 1000);
    for (int k = 0; k < count; k += 1) {
      struct connection *connection = events[k].data.ptr;
      if (events[k].events & EPOLLOUT) flush(&run, connection);
      if (!(events[k].events & ~(unsigned)EPOLLOUT)) continue;
      receive(connection);
      uint64_t now = now_ns();
      read_replies(&run, connection, now);
      if (!run.is_warm && run.answered >= work->warmup) begin_measuring(&run, now);
      if (connection->answered == connection->sent) send_batch(&run, connection, now);
    }
  }
  finish(&run);
  for (unsigned index = 0; index < pool->count; index += 1) {
    if (pool->connections[index].held > 0) die("bytes that answer no request on connection %u", index);
  }
}

struct work work_of(const struct options *options) {
  return (struct work){
    .request = options->request,
    .reply = options->reply,
    .pipeline = options->pipeline,
    .first = options->first,
    .keys = options->keys,
    .warmup = options->warmup,
    .total = options->total,
    .seconds = options->seconds,
    .server = options->server,
  };
}

unsigned share_of(const struct pool *pool, const struct options *options) {
  return (unsigned)(options->total / pool->count);
}

void prepare(struct pool *pool, const struct options *options) {
  static struct outcome outcome;
  if (options->prepare.text.length == 0) return;
  struct work work = {.request = options->prepare, .reply = template_of("*"),
                      .is_shared_out = true, .pipeline = 1, .total = pool->count, .seconds = 60};
  drive(pool, &work, &outcome);
}

void load_shares(struct pool *pool, const struct options *options) {
  static struct outcome outcome;
  struct work work = work_of(options);
  work.is_shared_out = true;
  work.warmup = 0;
  work.seconds = 3600;
  drive(pool, &work, &outcome);
  if (outcome.answered < work.total) die("only %lu requests of the load were answered", outcome.answered);
}
