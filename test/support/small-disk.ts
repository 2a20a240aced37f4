/** A file system of a test's own that is soon full. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import type { Rig } from './e2e.ts';

/**
 * Runs `use` with a tmpfs of so many bytes at `disk` in the test's directory, or skips where mounting is not allowed. Its agents are
 * gone afterwards.
 */
export async function withSmallDisk(
  { rig, bytes, skip }: { rig: Rig; bytes: number; skip: (why: string) => never },
  use: (disk: string) => Promise<void>,
): Promise<void> {
  const disk = rig.path('disk');
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    skip('Mounting a small file system takes root.');
  }
  try {
    await use(disk);
  } catch (error) {
    await rig.report();
    throw error;
  } finally {
    for (const agent of rig.agents) await agent.kill();
    execFileSync('umount', [disk]);
  }
}

/** Writes into a file until nothing fits any more. */
export function fill(path: string): void {
  const descriptor = openSync(path, 'a');
  for (let size = 65_536; size > 0;) {
    try {
      writeSync(descriptor, Buffer.alloc(size));
    } catch {
      size >>= 1;
    }
  }
  closeSync(descriptor);
}
