/* The arguments of the generators. Each takes those that it needs; all have the form --name value. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "wire.h"

struct options {
  int port;
  unsigned connections;
  struct framing framing;
  struct text hello; /* what a connection begins with */
  pid_t server;      /* its process */

  struct template request, reply;
  unsigned pipeline;
  unsigned first, keys; /* see pool.h */
  uint64_t warmup, total;
  double seconds;

  struct template subscribe; /* what a watcher sends, `each` times on its connection */
  struct text synced;        /* what it is answered before it is one */
  struct text event;         /* what the event of one change has in it, once */
  unsigned each, rounds;

  struct template prepare; /* what every connection sends before its share of the load */
  struct template renew;   /* what it sends to keep that alive, for each number of its own or, without {n}, once */
  struct template renewed; /* and how each is answered */
  double ttl;              /* seconds */
  double every;            /* seconds between two renewals */
  unsigned times;          /* how many instances a request of the load registers */
  struct template query;   /* what is asked beside it */
  struct template answer;
};

struct options read_options(int argc, char **argv);

#endif
