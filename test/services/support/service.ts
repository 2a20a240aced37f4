/**
 * What a real server of the service suites is, and where it lies once it is installed: in a cache outside the repository
 * (TAILRACE_SERVICES_CACHE, by default a folder below the home directory), so that it is built once for all checkouts.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Service {
  name: string;
  version: string;
  /** All that decides what {@link install} makes, as text: when it changes, the service is installed anew. */
  recipe: string;
  /** Puts everything that a start needs below `folder`. Throws {@link MissingTool}, or a sentence that says what failed. */
  install(folder: string): Promise<void>;
}

/** A tool that the suites presume (a JDK, Go, Python) is not on this machine. */
export class MissingTool extends Error {
  override name = 'MissingTool';
}

const CACHE = process.env['TAILRACE_SERVICES_CACHE'] ?? join(homedir(), '.cache', 'tailrace', 'services');

/** The folder of a service, whether or not it is installed. */
export function folderOf({ name, version, recipe }: Service): string {
  const digest = createHash('sha256').update(recipe).digest('hex').slice(0, 8);
  return join(CACHE, `${name}-${version}-${digest}`);
}

/** The folder of a service that is installed. Throws when it is not: `npm run test:services` installs before it tests. */
export function installed(service: Service): string {
  const folder = folderOf(service);
  if (!existsSync(folder))
    throw new Error(
      `Starting ${service.name}: it is not installed. Run the suites by npm run test:services.`,
    );
  return folder;
}

/** Installs a service unless it is there. A folder appears under its name only when it is whole. Answers whether there was work. */
export async function ensureInstalled(service: Service): Promise<boolean> {
  const folder = folderOf(service);
  if (existsSync(folder)) return false;
  const unfinished = `${folder}.${process.pid}`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  try {
    await service.install(unfinished);
    renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return true;
}
