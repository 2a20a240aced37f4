/** Configurations as text: written into a directory of their own, loaded with the real registry. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { registry } from '../../plugins/index.ts';
import type { PipelineDefinition } from '../../src/config/definition.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { LoadResult } from '../../src/config/load.ts';
import { translateRegex } from '../../src/parse/regex.ts';

/** A pipeline that is right, for configurations that are about something else. */
export const PIPELINE = `pipeline:
  inputs:
    - name: dummy
  outputs:
    - name: stdout
      match: '*'
`;

export class Workspace implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'tailrace-config-'));

  /** Writes a file; `name` may hold directories. Returns its path. */
  write(name: string, text: string | Uint8Array): string {
    const file = join(this.directory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  /** Writes `main.yaml` and loads it. */
  load(text: string | Uint8Array, env: Record<string, string> = {}): Promise<LoadResult> {
    return loadConfig(this.write('main.yaml', text), {
      env,
      registry,
      compileRegex: (pattern) => translateRegex(pattern).regex,
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** Loads a configuration that stands alone. */
export async function loadText(
  text: string | Uint8Array,
  env: Record<string, string> = {},
): Promise<LoadResult> {
  using workspace = new Workspace();
  return await workspace.load(text, env);
}

/** The definition of a configuration that must be right. */
export async function define(text: string, env: Record<string, string> = {}): Promise<PipelineDefinition> {
  return accepted(await loadText(text, env));
}

export function accepted({ definition, problems }: LoadResult): PipelineDefinition {
  if (definition === undefined) throw new Error(`Refused: ${lines({ problems }).join('; ')}`);
  return definition;
}

/** Problems as `LEVEL LINE MESSAGE`. */
export function lines({ problems }: Pick<LoadResult, 'problems'>): string[] {
  return problems.map(({ level, position, message }) => `${level} ${position?.line ?? '-'} ${message}`);
}
