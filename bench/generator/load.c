/*
 * Load on a server, and what came of it as a line of JSON:
 *
 *   load --port 6379 --connections 50 --pipeline 16 --total 100000 --framing lines:1 \
 *        --request 'SET key-{n} 1\r\n' --reply '+OK\r\n'
 */
#include "pool.h"

#include <stdio.h>

int main(int argc, char **argv) {
  struct options options = read_options(argc, argv);
  struct pool pool = open_pool(options.port, options.connections, options.framing, options.hello);
  prepare(&pool, &options);
  struct work work = work_of(&options);
  static struct outcome outcome;
  drive(&pool, &work, &outcome);
  printf("{\"answered\":%lu,\"checked\":%lu,\"seconds\":%.6f,\"rate\":%.1f,\"p50\":%.1f,\"p99\":%.1f,",
         outcome.answered, outcome.checked, outcome.seconds, (double)outcome.answered / outcome.seconds,
         quantile(&outcome.latency, 0.5), quantile(&outcome.latency, 0.99));
  printf("\"generatorCpu\":%.4f,\"serverCpu\":%.4f}\n", outcome.own_cpu, outcome.server_cpu);
  return 0;
}
