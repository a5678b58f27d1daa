import { systemClock } from '@reg/protocol';
import { type BackupHeader, checkBackup, resolveConfig, restoreBackup } from '@reg/server';
import { age } from '../duration.js';
import { countOf } from '../records.js';
import type { ServeContext } from './serve.js';

export interface RestoreArguments {
  readonly file: string;
  /** What the command line says of the daemon's options, by the names of `Config`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly config: string | undefined;
  readonly replace: boolean;
  /** Only reads the backup. */
  readonly check: boolean;
}

/** Makes a data folder of a backup, for a daemon to start with. */
export async function restore(
  { file, flags, config, replace, check }: RestoreArguments,
  { env, output }: ServeContext,
): Promise<void> {
  if (check) {
    const { header } = await checkBackup(file);
    output.result({ file, ...header }, `${file} is whole: ${describe(header)}`);
    return;
  }
  const { dataDir } = resolveConfig({ flags, env, file: config });
  const restored = await restoreBackup({ file, folder: dataDir, replace, clock: systemClock });
  const text = [`restored into ${dataDir}: ${describe(restored)}`];
  if (restored.setAside !== undefined) text.push(`what was there is in ${restored.setAside}`);
  output.result({ file, dataDir, ...restored }, text.join('\n'));
}

function describe({ instances, revision, taken }: BackupHeader): string {
  return `${countOf(instances, 'registration')}, as of revision ${revision}, taken ${age(systemClock.wall() - taken)} ago`;
}
