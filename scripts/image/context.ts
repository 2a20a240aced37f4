/** What the steps of a Dockerfile see of the checkout: a copy of what .dockerignore lets through. */
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Of .dockerignore's language only `*`, then `!path` for each thing that is wanted: the rest is an error. */
export function copyContext(root: string, target: string): void {
  const [first, ...wanted] = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (first !== '*' || wanted.some((line) => !/^![\w./-]+$/.test(line)))
    throw new Error('.dockerignore: write *, and then !path for each thing that the image needs.');
  for (const line of wanted) {
    const path = line.slice(1);
    if (!existsSync(join(root, path))) throw new Error(`.dockerignore names ${path}, which is not there.`);
    mkdirSync(dirname(join(target, path)), { recursive: true });
    cpSync(join(root, path), join(target, path), { recursive: true });
  }
}
