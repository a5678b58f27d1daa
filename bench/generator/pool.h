/* Connections, and load on them: each sends a batch of requests, and the next when all of them are answered. */
#ifndef POOL_H
#define POOL_H

#include "options.h"
#include "wire.h"

struct connection {
  int fd;
  unsigned index;
  unsigned first, sent, answered; /* the numbers of the batch under way begin with first */
  unsigned next;                  /* the next number, where each connection has numbers of its own */
  uint64_t sent_at;
  char *in; /* what has come and is no complete reply yet */
  size_t held;
  char *out; /* what the system has not taken yet */
  size_t left, written;
  bool is_waiting; /* for room to send more */
};

struct pool {
  int epoll;
  unsigned count;
  struct connection *connections;
  struct framing framing;
};

/* @param hello is sent on each first, and answered by one reply; it may be empty. */
struct pool open_pool(int port, unsigned count, struct framing framing, struct text hello);

/* A prime, by which numbers go around. */
#define STEP 7919u

struct work {
  struct template request, reply;
  unsigned pipeline;
  unsigned first;           /* number */
  unsigned keys;            /* numbers go around in so many, scattered; 0: each is used once */
  bool is_shared_out;       /* each connection has total / count numbers of its own, one after the other */
  uint64_t warmup, total;   /* requests */
  double seconds;           /* after which no more are sent */
  pid_t server;             /* whose processor time is measured; 0: nobody's */
};

struct work work_of(const struct options *options);

struct outcome {
  uint64_t answered;
  uint64_t checked;
  double seconds;
  double own_cpu;    /* share of one core that this process took */
  double server_cpu; /* microseconds for each answered request */
  struct histogram latency;
};

/* Ends the program where a reply that was looked at (one of many is) is wrong. What is reported leaves the warm-up out. */
void drive(struct pool *pool, const struct work *work, struct outcome *outcome);

/* Reads what has come. Ends the program where the server has closed. */
void receive(struct connection *connection);
/* Takes the first bytes away from what has come. */
void consume(struct connection *connection, size_t length);

/* How often the mark is in what has come, which it takes away. What is left may be the beginning of another. */
unsigned take_marks(struct connection *connection, struct text mark);

/* Reads from all connections until the mark has come so often. When each came, since `from`, is recorded, if it is to be. */
void await_marks(struct pool *pool, struct text mark, unsigned wanted, uint64_t from, struct histogram *histogram);
/* Has every connection begin options->each watches, and waits until all of them have begun. */
void subscribe(struct pool *pool, const struct options *options);

/* Has every connection send options->prepare, if there is one. */
void prepare(struct pool *pool, const struct options *options);
/* Has every connection send its share of options->total requests, with numbers of its own. */
void load_shares(struct pool *pool, const struct options *options);
/* Of so many. */
unsigned share_of(const struct pool *pool, const struct options *options);

#endif
