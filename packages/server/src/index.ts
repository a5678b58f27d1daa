export { type Config, type ConfigSources, defaultConfig, OPTIONS, resolveConfig } from './config.js';
export { type Ready, runDaemon } from './daemon.js';
export { createLogger, type Logger } from './logger.js';
export { createServer, type RegistryServer, type ServerOptions } from './server.js';
export { VERSION } from './version.js';
