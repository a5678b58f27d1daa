/*
 * Opens connections, has each send its share of --total, if there is a --request, and begin --each watches, if there is a
 * --subscribe, says what that took of the server for each connection, and holds them until its standard input ends: until then the server can be looked at.
 */
#include "pool.h"

#include <stdio.h>

int main(int argc, char **argv) {
  struct options options = read_options(argc, argv);
  uint64_t start = now_ns(), server_cpu = cpu_ns(options.server);
  struct pool pool = open_pool(options.port, options.connections, options.framing, options.hello);
  prepare(&pool, &options);
  if (options.request.text.length > 0) load_shares(&pool, &options);
  if (options.subscribe.text.length > 0) subscribe(&pool, &options);
  printf("{\"seconds\":%.6f,\"serverCpu\":%.3f}\n", (double)(now_ns() - start) / 1e9,
         (double)(cpu_ns(options.server) - server_cpu) / 1e3 / options.connections);
  fflush(stdout);
  while (getchar() != EOF) continue;
  return 0;
}
