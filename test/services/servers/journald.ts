/**
 * systemd-journald of this machine, as a private namespace: a daemon of our own beside (or without) the system's, with its own sockets and
 * files. It needs root. And systemd-journal-remote, unpacked from Debian's package, which makes journal files from export text.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServerProcess } from '../support/server.ts';
import { installed, MissingTool } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { run, unpackDebian } from '../support/tools.ts';

const DAEMON = '/lib/systemd/systemd-journald';
const PACKAGES = ['systemd-journal-remote', 'libmicrohttpd12'];
const LIBRARIES = `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
const WRITER = join(import.meta.dirname, 'journald/write.py');

export const journald: Service = {
  name: 'journald',
  version: 'system',
  recipe: PACKAGES.join(' '),
  async install(folder) {
    if (!existsSync(DAEMON)) throw new MissingTool(`${DAEMON} is not on this machine.`);
    if (process.getuid?.() !== 0) throw new MissingTool('A journald of its own can be started by root only.');
    await run('journalctl', ['--version']);
    await unpackDebian(folder, PACKAGES);
  },
};

/** Fields of an entry; a name may come several times. */
export type Fields = readonly (readonly [name: string, value: string | Buffer])[];

export class Journal {
  readonly namespace = `tailrace-test-${process.pid}`;
  private readonly daemon: ServerProcess;
  private readonly sockets = `/run/systemd/journal.${this.namespace}`;
  private readonly config = `/etc/systemd/journald@${this.namespace}.conf`;

  constructor() {
    // No rate limit; small files, so that few entries fill several.
    writeFileSync(
      this.config,
      '[Journal]\nStorage=persistent\nRateLimitBurst=0\nSystemMaxFileSize=8M\nLineMax=8M\n',
    );
    mkdirSync('/var/log/journal', { recursive: true });
    this.daemon = new ServerProcess({
      command: DAEMON,
      args: [this.namespace],
      cwd: '/',
      ready: async () =>
        existsSync(join(this.sockets, 'socket')) && existsSync(join(this.sockets, 'dev-log')),
    });
  }

  async start(): Promise<this> {
    await this.daemon.start();
    return this;
  }

  /** Writes entries by the native protocol; journald has them all when this resolves. */
  async write(entries: Iterable<Fields>): Promise<void> {
    const writer = spawn('python3', [WRITER, join(this.sockets, 'socket')], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    const over = once(writer, 'close');
    // Its end says more.
    writer.stdin.on('error', () => {});
    for (const fields of entries) {
      const line = JSON.stringify(
        fields.map(([name, value]) => [name, Buffer.from(value as string).toString('base64')]),
      );
      if (writer.exitCode !== null) break;
      if (!writer.stdin.write(`${line}\n`)) await Promise.race([once(writer.stdin, 'drain'), over]);
    }
    writer.stdin.end();
    const [code] = (await over) as [number];
    if (code !== 0) throw new Error(`Writing to journald ended with ${code}.`);
    this.control('--sync');
  }

  /** Writes a line by its syslog socket, with logger(1). */
  async log(tag: string, ...lines: string[]): Promise<void> {
    for (const line of lines) await run('logger', ['-u', join(this.sockets, 'dev-log'), '-t', tag, line]);
    this.control('--sync');
  }

  /** `--rotate`, `--vacuum-files=1`, … */
  control(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync('journalctl', [`--namespace=${this.namespace}`, ...args], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (status !== 0) throw new Error(`journalctl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** Ends the daemon and removes its files, sockets and configuration. */
  async close(): Promise<void> {
    await this.daemon.close();
    const kept = '/var/log/journal';
    for (const name of readdirSync(kept))
      if (name.endsWith(`.${this.namespace}`)) rmSync(join(kept, name), { recursive: true });
    rmSync(this.sockets, { recursive: true, force: true });
    rmSync(this.config, { force: true });
  }
}

/** Makes a journal file from export text. */
export async function makeJournal(file: string, text: string): Promise<void> {
  const folder = installed(journald);
  const source = `${file}.export`;
  writeFileSync(source, text);
  await run(join(folder, 'lib/systemd/systemd-journal-remote'), [`--output=${file}`, source], {
    env: { LD_LIBRARY_PATH: join(folder, LIBRARIES) },
  });
  rmSync(source);
}
