#include "options.h"

#include <stdlib.h>
#include <string.h>

static void read_option(struct options *options, const char *name, const char *value) {
  if (strcmp(name, "--port") == 0) options->port = atoi(value);
  else if (strcmp(name, "--connections") == 0) options->connections = (unsigned)atoi(value);
  else if (strcmp(name, "--framing") == 0) options->framing = framing_of(value);
  else if (strcmp(name, "--hello") == 0) options->hello = unescape(value);
  else if (strcmp(name, "--server") == 0) options->server = atoi(value);
  else if (strcmp(name, "--request") == 0) options->request = template_of(value);
  else if (strcmp(name, "--reply") == 0) options->reply = template_of(value);
  else if (strcmp(name, "--pipeline") == 0) options->pipeline = (unsigned)atoi(value);
  else if (strcmp(name, "--first") == 0) options->first = (unsigned)atoi(value);
  else if (strcmp(name, "--keys") == 0) options->keys = (unsigned)atoi(value);
  else if (strcmp(name, "--warmup") == 0) options->warmup = strtoull(value, NULL, 10);
  else if (strcmp(name, "--total") == 0) options->total = strtoull(value, NULL, 10);
  else if (strcmp(name, "--seconds") == 0) options->seconds = atof(value);
  else if (strcmp(name, "--subscribe") == 0) options->subscribe = template_of(value);
  else if (strcmp(name, "--synced") == 0) options->synced = unescape(value);
  else if (strcmp(name, "--event") == 0) options->event = unescape(value);
  else if (strcmp(name, "--each") == 0) options->each = (unsigned)atoi(value);
  else if (strcmp(name, "--rounds") == 0) options->rounds = (unsigned)atoi(value);
  else if (strcmp(name, "--prepare") == 0) options->prepare = template_of(value);
  else if (strcmp(name, "--renew") == 0) options->renew = template_of(value);
  else if (strcmp(name, "--renewed") == 0) options->renewed = template_of(value);
  else if (strcmp(name, "--every") == 0) options->every = atof(value);
  else if (strcmp(name, "--times") == 0) options->times = (unsigned)atoi(value);
  else if (strcmp(name, "--ttl") == 0) options->ttl = atof(value);
  else if (strcmp(name, "--query") == 0) options->query = template_of(value);
  else if (strcmp(name, "--answer") == 0) options->answer = template_of(value);
  else die("no such option: %s", name);
}

struct options read_options(int argc, char **argv) {
  struct options options = {
    .connections = 1, .pipeline = 1, .total = 1, .seconds = 3600, .each = 1, .rounds = 1, .times = 1, .reply = template_of("*"),
  };
  if (argc % 2 == 0) die("%s has no value", argv[argc - 1]);
  for (int at = 1; at < argc; at += 2) read_option(&options, argv[at], argv[at + 1]);
  if (options.port == 0) die("--port is missing");
  return options;
}
