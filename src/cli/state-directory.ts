/**
 * Where positions are kept: `--state-path`, else the configuration's `state_path`, else systemd's STATE_DIRECTORY, else
 * `/var/lib/tailrace` (root) or `$XDG_STATE_HOME/tailrace`. Below it a folder per configuration file, so that several agents
 * of one user have states of their own.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { describeError } from '../telemetry/safe.ts';
import { EXIT, UserError } from './exit.ts';

export interface StateChoice {
  /** `--state-path`. */
  commandLine: string | undefined;
  /** `state_path` of the configuration. */
  configured: string | undefined;
  /** The configuration file as named; its absolute path counts, symbolic links unresolved: a ConfigMap changes its own. */
  configFile: string;
  env: NodeJS.ProcessEnv;
  isRoot: boolean;
}

/** The directory, or undefined when nothing is to be kept (`off`). Touches nothing. */
export function chooseStateDirectory(choice: StateChoice): string | undefined {
  const { commandLine, configured, configFile } = choice;
  const written = commandLine ?? configured;
  if (written !== undefined && /^(off|false|no)$/i.test(written)) return undefined;
  return join(resolve(written ?? defaultBase(choice)), folderName(resolve(configFile)));
}

/** The directory above the states of all configurations where none is named. Throws {@link UserError}. */
export function defaultBase({ env, isRoot }: Pick<StateChoice, 'env' | 'isRoot'>): string {
  // systemd gives a list when StateDirectory= names several.
  const systemd = env.STATE_DIRECTORY?.split(':')[0];
  if (systemd) return systemd;
  if (isRoot) return '/var/lib/tailrace';
  if (env.XDG_STATE_HOME) return join(env.XDG_STATE_HOME, 'tailrace');
  if (env.HOME) return join(env.HOME, '.local', 'state', 'tailrace');
  throw new UserError(
    'No directory for positions: neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME is set. Give --state-path DIR, or --state-path off to keep none.',
    EXIT.config,
  );
}

/** Readable, and different for files of one name: `app-3f1c…`. */
function folderName(path: string): string {
  const name = basename(path)
    .replace(/\.ya?ml$/i, '')
    .replaceAll(/[^A-Za-z0-9._-]/g, '_');
  return `${name}-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`;
}

/** Makes sure that the directory is there and can be written. Throws {@link UserError}. */
export function prepareStateDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK);
  } catch (error) {
    throw new UserError(
      `Positions cannot be kept in ${directory}: ${describeError(error)}. Make it writable, name another directory with state_path or --state-path DIR, or keep none with --state-path off (then a restart reads files again or skips lines).`,
      EXIT.config,
      { cause: error },
    );
  }
}
