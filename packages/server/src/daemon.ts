import { type Endpoint, ERRORS } from '@reg/protocol';
import type { Config } from './config.js';
import { createLogger } from './logger.js';
import { createServer } from './server.js';

/** What the daemon tells when it is ready. */
export interface Ready {
  readonly endpoint: Endpoint;
  /** How many instances it has from before. */
  readonly restored: number;
}

/**
 * Runs a daemon in this process until SIGTERM or SIGINT, or until its data cannot be trusted any more. A second
 * signal stops it at once. SIGHUP has it read again who may do what, and its certificates.
 *
 * @throws {RegistryError} where it cannot start, or has stopped itself.
 */
export async function runDaemon(config: Config, onReady: (ready: Ready) => void): Promise<void> {
  const logger = createLogger(config.logLevel);
  let stop: (error?: Error) => void = () => {};
  const stopped = new Promise<void>((resolve, reject) => {
    stop = (error) => (error === undefined ? resolve() : reject(error));
  });
  const server = createServer({ ...config, logger, onFatal: stop });
  // From now on: a start may take seconds, and to who is not told otherwise a SIGHUP is the end.
  process.on('SIGHUP', () => server.reload());
  const endpoint = await server.listen();
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) process.exit(ERRORS.aborted.exit);
    isStopping = true;
    logger.info({ signal }, 'stopping');
    server.close().then(() => stop(), stop);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  onReady({ endpoint, restored: server.registry.size });
  await stopped;
}
