/**
 * Memory: resident memory of the agent under full load, idle, idle with its HTTP server, and with a destination that never
 * answers while a big file waits.
 *
 *   npm run bench:memory -- [--mb 300] [--waiting-mb 2000] [--seconds 5]
 *
 * The agent runs compiled (dist/), with its state on disk as in production. Each scenario runs twice with a compile cache of its
 * own: the first time it is empty, as at the very first start and where the file system is read-only.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFile } from './generate.ts';
import { measure } from './measure.ts';
import { whileRunning } from './running.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const AGENT = join(dirname(HERE), 'bin/tailrace.js');

interface Row {
  name: string;
  /** Bytes, with an empty compile cache. */
  cold: number;
  /** Bytes, with a filled one. */
  warm: number;
  what: 'peak' | 'resident';
  /** Megabytes. */
  aim: number;
}

const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '300' },
    'waiting-mb': { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '5' },
  },
});
const seconds = Number(values.seconds);
const directory = mkdtempSync(join(tmpdir(), 'tailrace-memory-'));

interface Pipeline {
  path: string;
  service?: string;
  input?: string;
  rest: string;
}

/** Writes a configuration; returns the command that runs it on a state of its own. */
function commandFor({ path, service = '', input = '', rest }: Pipeline): [string, ...string[]] {
  const home = mkdtempSync(join(directory, 'agent-'));
  const config = join(home, 'pipeline.yaml');
  writeFileSync(
    config,
    `service:
  flush: 1
${service}
parsers:
  - name: bench-json
    format: json
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S.%L%z'
pipeline:
  inputs:
    - name: tail
      path: ${path}
      tag: bench
      read_from_head: true
${input}
${rest}
`,
  );
  return [process.execPath, AGENT, 'run', '-c', config, '--state-path', join(home, 'state')];
}

const ADD_A_KEY = `
  filters:
    - name: record_modifier
      match: '*'
      record: host bench`;

const http = (port: number): string => `
  outputs:
    - name: http
      match: '*'
      port: ${port}
      format: json_lines`;

/** Accepts connections, reads what comes, and never answers. */
async function silentServer(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}

/** Measures twice, with one compile cache. */
async function twice(
  look: (env: NodeJS.ProcessEnv) => Promise<number>,
): Promise<{ cold: number; warm: number }> {
  const env = {
    ...process.env,
    XDG_CACHE_HOME: mkdtempSync(join(directory, 'cache-')),
    TAILRACE_COMPILED: '1',
  };
  const cold = await look(env);
  return { cold, warm: await look(env) };
}

async function fullLoad(name: string, kind: string, input: string, rest: string): Promise<Row> {
  const path = dataFile(join(HERE, 'data'), kind, Number(values.mb) * 1e6);
  const measured = await twice(async (env) => {
    const run = await measure(commandFor({ path, input: `      exit_on_eof: true\n${input}`, rest }), {
      env,
    });
    if (run.exitCode !== 0) throw new Error(`The agent ended with ${run.exitCode}: ${run.stderr}`);
    return run.rss;
  });
  return { name: `full load: ${name}`, ...measured, what: 'peak', aim: 130 };
}

async function idle(name: string, service: string, aim: number): Promise<Row> {
  const path = join(directory, 'small.log');
  writeFileSync(path, 'one line\n');
  const command = commandFor({ path, service, rest: "  outputs:\n    - name: 'null'\n      match: '*'" });
  const measured = await twice(async (env) => {
    const memory = await whileRunning(command, env, async (said) => {
      for (let second = 0; second < seconds; second++) {
        const url = /Metrics on (http\S+?)"/.exec(said())?.[1];
        if (url !== undefined) await (await fetch(url)).text();
        await pause(1000);
      }
    });
    return memory.rss;
  });
  return { name, ...measured, what: 'resident', aim };
}

async function waiting(): Promise<Row> {
  const megabytes = Number(values['waiting-mb']);
  const path = dataFile(join(HERE, 'data'), 'plain', megabytes * 1e6);
  const server = await silentServer();
  try {
    const { port } = server.address() as AddressInfo;
    const measured = await twice(async (env) => {
      const memory = await whileRunning(commandFor({ path, rest: http(port) }), env, () =>
        pause(seconds * 2000),
      );
      return memory.peak;
    });
    return {
      name: `a sink that never answers, ${megabytes} MB waiting`,
      ...measured,
      what: 'peak',
      aim: 160,
    };
  } finally {
    server.close();
  }
}

function print(rows: readonly Row[]): void {
  console.log('\n| what | | first start MB | later starts MB | aim | |');
  console.log('|---|---|---:|---:|---:|---|');
  for (const { name, cold, warm, what, aim } of rows) {
    const verdict =
      Math.max(cold, warm) / 1e6 <= aim ? 'met' : warm / 1e6 <= aim ? 'met but at the first start' : 'missed';
    const [first, later] = [cold, warm].map((bytes) => (bytes / 1e6).toFixed(0));
    console.log(`| ${name} | ${what} | ${first} | ${later} | ${aim} | ${verdict} |`);
  }
}

try {
  const json = '      parser: bench-json';
  const toNull = "\n  outputs:\n    - name: 'null'\n      match: '*'";
  const toFile = `${ADD_A_KEY}\n  outputs:\n    - name: file\n      match: '*'\n      path: ${directory}\n      file: out.log`;
  const rows = [
    await fullLoad('plain → null', 'plain', '', toNull),
    await fullLoad('JSON, one key added → file', 'json', json, toFile),
    await fullLoad('nginx regex → null', 'nginx', '      parser: nginx', toNull),
  ];
  rmSync(join(directory, 'out.log'), { force: true });
  rows.push(await idle('idle', '', 80));
  rows.push(
    await idle('idle, http_server on, a scrape per second', '  http_server: on\n  http_port: 0', 100),
  );
  rows.push(await waiting());
  print(rows);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
