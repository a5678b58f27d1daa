/*
 * How long one change takes to those who watch for it. Opens the connections, has each send --subscribe so many times
 * as --each says, and waits until each was answered with --synced. Then, --rounds times after --warmup times that do not
 * count, sends --request on another connection, and takes the time until --event has arrived at every watch. Says, in
 * microseconds from the sending of the request, when a watch had its event, and when the last of a round had.
 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PATIENCE_MS 20000
/* Between two rounds, so that one does not meet the work that the other has left. */
#define PAUSE_US 3000

/* Until the request of the round is answered. */
static void await_reply(struct pool *writer, const struct options *options, unsigned round) {
  struct connection *connection = writer->connections;
  struct epoll_event event;
  size_t length;
  while ((length = reply_length(writer->framing, connection->in, connection->held)) == 0) {
    if (epoll_wait(writer->epoll, &event, 1, PATIENCE_MS) == 0) die("no reply in round %u", round);
    receive(connection);
  }
  if (!matches(&options->reply, round, 0, connection->in, length)) die("wrong reply: %.*s", (int)length, connection->in);
  consume(connection, length);
}

int main(int argc, char **argv) {
  struct options options = read_options(argc, argv);
  struct pool watchers = open_pool(options.port, options.connections, options.framing, options.hello);
  struct pool writer = open_pool(options.port, 1, options.framing, options.hello);
  subscribe(&watchers, &options);

  static struct histogram arrivals, lasts;
  struct text request = {malloc(options.request.text.length), options.request.text.length};
  uint64_t server_cpu = 0;
  for (unsigned round = 0; round < options.warmup + options.rounds; round += 1) {
    if (round == options.warmup) {
      memset(&arrivals, 0, sizeof arrivals);
      memset(&lasts, 0, sizeof lasts);
      server_cpu = cpu_ns(options.server);
    }
    usleep(PAUSE_US);
    render(&options.request, options.first + round, 0, request.bytes);
    uint64_t sent_at = now_ns();
    send_all(writer.connections->fd, request);
    await_marks(&watchers, options.event, watchers.count * options.each, sent_at, &arrivals);
    record(&lasts, now_ns() - sent_at, 1);
    await_reply(&writer, &options, options.first + round);
  }
  printf("{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"last50\":%.1f,\"last99\":%.1f,\"serverCpu\":%.3f}\n",
         quantile(&arrivals, 0.5), quantile(&arrivals, 0.99), (double)arrivals.max / 1000, quantile(&lasts, 0.5),
         quantile(&lasts, 0.99), (double)(cpu_ns(options.server) - server_cpu) / 1e3 / (double)arrivals.count);
  return 0;
}
