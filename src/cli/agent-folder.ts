/**
 * Which agent a command is about: that of a configuration (`-c`), or the only one below a state path. Where there are several they are
 * listed.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { askAgent, NoAgentError } from '../api/control-client.ts';
import { controlSocket } from '../api/control-path.ts';
import type { AgentChoice } from './agent-options.ts';
import { useColor } from './color.ts';
import { loadConfiguration } from './configuration.ts';
import { EXIT, UserError } from './exit.ts';
import { chooseStateDirectory, defaultBase } from './state-directory.ts';

/** Folder of dead letters in a state directory. */
export const LETTERS_FOLDER = 'dead-letters';

/** The state directory of a configuration. Throws UserError when it keeps none. */
async function ofConfiguration(config: string, statePath: string | undefined): Promise<string> {
  let configured: string | undefined;
  if (statePath === undefined) {
    configured = await configuredStatePath(config);
  }
  const directory = chooseStateDirectory({
    commandLine: statePath,
    configured,
    configFile: config,
    env: process.env,
    isRoot: process.getuid?.() === 0,
  });
  if (directory !== undefined) return directory;
  throw new UserError(
    `state_path is off: an agent of ${config} has no control socket and keeps no dead letters.`,
    EXIT.usage,
  );
}

/** Throws UserError: for a command about an agent a configuration that cannot be read is a mistake in usage. */
async function configuredStatePath(config: string): Promise<string | undefined> {
  try {
    return (await loadConfiguration(config, useColor(process.stderr))).definition.service.statePath;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      `${error.message}\nWith --state-path DIR the state is found without reading the configuration.`,
      EXIT.usage,
      { cause: error },
    );
  }
}

/** State directories that have something of that name: the named one itself, or those below it. */
function directoriesWith(entry: string, statePath: string | undefined): { base: string; found: string[] } {
  const base = resolve(statePath ?? defaultBase({ env: process.env, isRoot: process.getuid?.() === 0 }));
  if (existsSync(join(base, entry))) return { base, found: [base] };
  const found = subfolders(base)
    .map((name) => join(base, name))
    .filter((directory) => existsSync(join(directory, entry)));
  return { base, found };
}

function subfolders(base: string): string[] {
  try {
    return readdirSync(base, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .toSorted();
  } catch {
    return [];
  }
}

function severalError(what: string, found: readonly string[]): UserError {
  const list = found.map((directory) => `  ${directory}`).join('\n');
  return new UserError(
    `Several ${what}: name one by its configuration with -c FILE, or with --state-path DIR.\n${list}`,
    EXIT.usage,
  );
}

/** The state directory of the agent that is meant and, as far as can be told, runs. Throws UserError. */
export async function agentDirectory({ config, statePath }: AgentChoice): Promise<string> {
  if (config !== undefined) return ofConfiguration(config, statePath);
  const { base, found } = directoriesWith(controlSocket('.'), statePath);
  const running: string[] = [];
  for (const directory of found) if (await isRunning(directory)) running.push(directory);
  const [first] = running;
  if (first === undefined) {
    throw new UserError(
      `No agent runs with a state below ${base}. Name its configuration with -c FILE.`,
      EXIT.taken,
    );
  }
  if (running.length > 1) throw severalError('agents run', running);
  return first;
}

async function isRunning(directory: string): Promise<boolean> {
  try {
    await askAgent(directory, { command: 'status' });
    return true;
  } catch (error) {
    // One that answers with something else is one that the user should hear of.
    return !(error instanceof NoAgentError);
  }
}

/** The state directory whose dead letters are meant. Throws UserError. */
export async function lettersDirectory({ config, statePath }: AgentChoice): Promise<string> {
  if (config !== undefined) return ofConfiguration(config, statePath);
  const { base, found } = directoriesWith(LETTERS_FOLDER, statePath);
  const [first] = found;
  if (first === undefined) {
    throw new UserError(
      `There are no dead letters below ${base}. Name the configuration with -c FILE.`,
      EXIT.config,
    );
  }
  if (found.length > 1) throw severalError('agents have dead letters', found);
  return first;
}
