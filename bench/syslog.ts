/**
 * syslog: CPU-seconds for a million messages that come at an even pace, and how many of them are lost; beside a Fluent Bit binary if one is
 * given.
 *
 *   npm run bench:syslog -- [--rate 100000] [--seconds 10] [--fluent-bit PATH] [--only tcp]
 *
 * The sender is a process of its own on the same machine, and shares its processors.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Metrics } from './metrics.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const PORT = 45_140;
const HTTP_PORT = 45_141;
/** Nothing more is coming when the numbers stood still so long. Milliseconds. */
const STILL_MS = 3000;
const LOOK_MS = 250;
/** Clock ticks per second of /proc/PID/stat. */
const TICKS = 100;

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '10' },
    'fluent-bit': { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const messages = Number(values.rate) * Number(values.seconds);

interface Result {
  cpu: number;
  received: number;
  /** Resident at the peak, bytes. */
  peak: number;
  /** Seconds that the sender took. */
  sending: number;
}

function configuration(protocol: string, parser: string): string {
  return `service:
  flush: 1
  http_server: on
  http_listen: 127.0.0.1
  http_port: ${HTTP_PORT}
  log_level: error
parsers:
  - name: syslog-rfc5424
    format: regex
    regex: '^\\<(?<pri>[0-9]{1,5})\\>1 (?<time>[^ ]+) (?<host>[^ ]+) (?<ident>[^ ]+) (?<pid>[-0-9]+) (?<msgid>[^ ]+) (?<extradata>(\\[(.*?)\\]|-)) (?<message>.+)$'
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S.%L%z'
    time_keep: on
  - name: syslog-rfc3164
    format: regex
    regex: '/^\\<(?<pri>[0-9]+)\\>(?<time>[^ ]* {1,2}[^ ]* [^ ]*) (?<host>[^ ]*) (?<ident>[a-zA-Z0-9_\\/\\.\\-]*)(?:\\[(?<pid>[0-9]+)\\])?(?:[^\\:]*\\:)? *(?<message>.*)$/'
    time_key: time
    time_format: '%b %d %H:%M:%S'
    time_keep: on
pipeline:
  inputs:
    - name: syslog
      mode: ${protocol}
      listen: 127.0.0.1
      port: ${PORT}
      parser: ${parser}
  outputs:
    - name: null
      alias: out
      match: '*'
`;
}

async function run(
  command: readonly [string, ...string[]],
  protocol: string,
  format: string,
  parser: string,
): Promise<Result> {
  const home = mkdtempSync(join(tmpdir(), 'syslog-bench-'));
  const file = join(home, 'pipeline.yaml');
  writeFileSync(file, configuration(protocol, parser));
  const [program, ...args] = command;
  const child = spawn(program, [...args, '-c', file], {
    cwd: home,
    env: { ...process.env, TAILRACE_COMPILED: '1', STATE_DIRECTORY: join(home, 'state') },
    stdio: 'ignore',
  });
  try {
    const received = async (): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${HTTP_PORT}/api/v2/metrics/prometheus`);
      return new Metrics(await answer.text()).sum('fluentbit_output_proc_records_total');
    };
    for (;;) {
      const isUp = await received().then(
        () => true,
        () => false,
      );
      if (isUp) break;
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}.`);
      await pause(LOOK_MS);
    }
    const before = cpuOf(child.pid ?? 0);
    const sending = await send(protocol, format);
    let count = -1;
    for (let since = performance.now(); performance.now() - since < STILL_MS && count < messages;) {
      const now = await received();
      if (now !== count) since = performance.now();
      count = now;
      await pause(LOOK_MS);
    }
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return {
      cpu: cpuOf(child.pid ?? 0) - before,
      received: count,
      peak: Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024,
      sending,
    };
  } finally {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    rmSync(home, { recursive: true });
  }
}

/** Seconds of user and system time. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

async function send(protocol: string, format: string): Promise<number> {
  const child = spawn(
    process.execPath,
    [join(HERE, 'syslog-sender.ts'), protocol, String(PORT), format, String(messages), values.rate],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout.on('data', (data: Buffer) => {
    said += data.toString();
  });
  await once(child, 'close');
  return Number(said);
}

const ours = [process.execPath, join(dirname(HERE), 'bin/tailrace.js'), 'run'] as const;
const binary = values['fluent-bit'];
process.stdout.write(
  `${messages.toLocaleString('en')} messages at ${Number(values.rate).toLocaleString('en')} a second\n\n` +
    '| work | agent | lost | sent in s | CPU s per million | peak RSS MB |\n|---|---|---:|---:|---:|---:|\n',
);
for (const protocol of ['tcp', 'udp']) {
  for (const format of ['rfc3164', 'rfc5424']) {
    if (values.only !== '' && !`${protocol} ${format}`.includes(values.only)) continue;
    const row = async (
      who: string,
      command: readonly [string, ...string[]],
      parser: string,
    ): Promise<void> => {
      const { cpu, received, peak, sending } = await run(command, protocol, format, parser);
      process.stdout.write(
        `| ${protocol} ${format} | ${who} | ${messages - received} | ${sending.toFixed(1)} | ${((cpu / received) * 1e6).toFixed(2)} | ${(peak / 1e6).toFixed(0)} |\n`,
      );
    };
    await row('Tailrace, `parser: syslog`', ours, 'syslog');
    await row(`Tailrace, \`parser: syslog-${format}\``, ours, `syslog-${format}`);
    if (binary !== undefined) await row('Fluent Bit', [binary], `syslog-${format}`);
  }
}
