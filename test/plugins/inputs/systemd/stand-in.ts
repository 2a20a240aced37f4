/**
 * A stand-in for journalctl, for what the real one cannot be made to do at will: to hang, to die in the middle of an entry, to write
 * garbage, to be denied. It prints export text from a file, in order, and takes `--version`, `--lines`, `--cursor` and `--follow`; matches
 * mean nothing to it. (The real one runs in the service suite `journald`.)
 *
 * Arguments: the directory of the file, then those of journalctl. The file `trick` there says what the next follower does wrong.
 */
import { appendFileSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

const [directory = '.', ...args] = process.argv.slice(2);
const file = join(directory, 'journal.export');

function option(name: string): string | undefined {
  return args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}

/** The entries, each with its empty line; no value in it may hold one. */
function entries(text: Buffer): Buffer[] {
  const all: Buffer[] = [];
  let from = 0;
  for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n', from)) {
    all.push(text.subarray(from, end + 2));
    from = end + 2;
  }
  return all;
}

const numberIn = (text: string): number => Number.parseInt(/;i=([0-9a-f]+);/.exec(text)?.[1] ?? '0', 16);

function takeTrick(): string {
  const trick = join(directory, 'trick');
  if (!existsSync(trick)) return '';
  const text = readFileSync(trick, 'utf8');
  rmSync(trick);
  return text;
}

function die(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

appendFileSync(join(directory, 'calls'), `${args.join(' ')}\n`);
if (args.includes('--version')) {
  process.stdout.write('stand-in 1\n');
  process.exit(0);
}
const all = entries(readFileSync(file));
const cursor = option('cursor');
const from =
  cursor === undefined ? all : all.filter((each) => numberIn(each.toString('latin1')) >= numberIn(cursor));
const lines = option('lines');
if (lines !== undefined) {
  if (existsSync(join(directory, 'denied')))
    die('No journal files were opened due to insufficient permissions.');
  process.stdout.write(
    Buffer.concat(cursor === undefined ? from.slice(-Number(lines)) : from.slice(0, Number(lines))),
  );
  process.exit(0);
}
const trick = takeTrick();
if (trick === 'die') {
  const text = Buffer.concat(from);
  process.stdout.write(text.subarray(0, Math.floor(text.length / 2)), () => die('Dying as asked.'));
} else if (trick === 'garbage') {
  process.stdout.write(Buffer.concat([...from.slice(0, 1), Buffer.from(`${'garbage '.repeat(500)}\n`)]));
  setInterval(() => {}, 1000);
} else if (trick === 'hang') {
  process.stdout.write(from[0] ?? '');
  setInterval(() => {}, 1000);
} else {
  process.stdout.write(Buffer.concat(from));
  let read = Buffer.concat(all).length;
  setInterval(() => {
    if (statSync(file).size === read) return;
    const text = readFileSync(file);
    process.stdout.write(text.subarray(read));
    read = text.length;
  }, 20);
  process.stdout.on('error', () => process.exit(0));
}
