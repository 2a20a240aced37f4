/**
 * Takes out of folders what a running agent never reads: `node scripts/image/prune.ts FOLDER…`, in the Dockerfile.
 *
 * Type declarations, source maps, and native libraries for other machines. Licences stay, and so does all that could be loaded: what a
 * package brings for other bundlers is small, and guessing about it is not worth a module that is missed one day.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

const NEVER_READ = /\.(?:d\.[cm]?ts|[cm]?js\.map|d\.[cm]?ts\.map|ts\.map)$/;

/** `e_machine` of ELF files. */
const MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

/** Whether a native library can be loaded here: it is an ELF file for this processor, and for this C library. */
function isForThisMachine(file: string): boolean {
  const head = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  try {
    readSync(descriptor, head, 0, head.length, 0);
  } finally {
    closeSync(descriptor);
  }
  if (head.toString('latin1', 0, 4) !== '\x7fELF') return false;
  // All machines that Node.js runs on in a container are little-endian but s390x, which nobody asked for.
  if (head.readUInt16LE(18) !== MACHINES[process.arch]) return false;
  return !readFileSync(file).includes('libc.musl');
}

const removed = { files: 0, bytes: 0 };

function remove(file: string): void {
  removed.files++;
  removed.bytes += statSync(file).size;
  rmSync(file);
}

for (const folder of process.argv.slice(2)) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    if (NEVER_READ.test(entry.name)) remove(file);
    else if (entry.name.endsWith('.node') && !isForThisMachine(file)) remove(file);
  }
}
console.log(`pruned ${removed.files} files, ${(removed.bytes / 1e6).toFixed(1)} MB`);
