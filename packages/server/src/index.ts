export { changeEntries, formatEntries, readEntries } from './access/file.js';
export { parseRules, type Rule as AccessRule } from './access/rules.js';
export { type Entry as AccessEntry, makeToken } from './access/tokens.js';
export { type BackupHeader, writeBackup } from './backup/file.js';
export { checkBackup, type Restored, type RestoreOptions, restoreBackup } from './backup/restore.js';
export {
  type Config,
  type ConfigSources,
  DEFAULT_TOKENS_FILE,
  defaultConfig,
  OPTIONS,
  resolveConfig,
} from './config.js';
export { type Ready, runDaemon } from './daemon.js';
export { createLogger, type Logger } from './logger.js';
export { createServer, type RegistryServer, type ServerOptions } from './server.js';
export { VERSION } from './version.js';
