/** Puts files where a kubelet puts those of a ConfigMap. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A directory per generation (1, 2, …), and a link to the latest that is exchanged at once; the files are links through it. */
export function mountConfigMap(
  directory: string,
  generation: number,
  files: Readonly<Record<string, string>>,
): void {
  const data = `..2026_${generation}`;
  mkdirSync(join(directory, data), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, data, name), text);
  symlinkSync(data, join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  if (generation > 1) rmSync(join(directory, `..2026_${generation - 1}`), { recursive: true });
  else for (const name of Object.keys(files)) symlinkSync(join('..data', name), join(directory, name));
}
