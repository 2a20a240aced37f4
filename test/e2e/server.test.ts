/** What docs/servers.md tells an administrator to do: the unit of systemd, its command line, and the sample pipeline. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { StreamSink } from '../net/sockets.ts';
import { numbered, StandIn } from '../plugins/inputs/systemd/journal.ts';
import type { Written } from '../plugins/inputs/systemd/journal.ts';
import { test } from '../support/e2e.ts';
import { countedOf, readSyslog5424 } from '../support/syslog.ts';
import type { Syslog5424 } from '../support/syslog.ts';

const ROOT = join(import.meta.dirname, '../..');
const UNIT = join(ROOT, 'packaging/systemd/tailrace.service');
const SAMPLE = join(ROOT, 'pipelines/server.yaml');

const entries: readonly Written[] = [
  {
    number: 1,
    fields: [
      ['MESSAGE', 'Accepted publickey for root\nsecond line'],
      ['SYSLOG_IDENTIFIER', 'sshd'],
      ['_PID', '4711'],
      ['PRIORITY', '4'],
      ['SYSLOG_FACILITY', '10'],
      ['_HOSTNAME', 'server-1'],
    ],
  },
  { number: 2, fields: [['MESSAGE', 'no more than this']] },
];

/** How many messages are there as a whole. */
function whole(bytes: Buffer): number {
  try {
    return countedOf(bytes).length;
  } catch {
    return 0;
  }
}

const received = ({ bytes }: StreamSink): Syslog5424[] =>
  countedOf(bytes).map((message) => readSyslog5424(message, 'unmarked'));

test('pipelines/server.yaml: journal and files, to a syslog server', async ({ rig }) => {
  const sink = await new StreamSink().open();
  const journal = new StandIn(entries);
  mkdirSync(rig.path('logs/nginx'), { recursive: true });
  writeFileSync(rig.path('logs/nginx/access.log'), '');
  try {
    const agent = await rig.start({
      config: SAMPLE,
      env: {
        JOURNALCTL: journal.command,
        JOURNAL_FROM_TAIL: 'off',
        LOG_FILES: rig.path('logs/*/*.log'),
        SYSLOG_PORT: String(sink.port),
        HOSTNAME: 'this-one',
      },
    });
    appendFileSync(rig.path('logs/nginx/access.log'), 'GET / 200\n');
    await sink.until((bytes) => whole(bytes) === 3);
    const at = { timestamp: expect.stringMatching(/^20/) as string, msgid: '-', data: {} };
    expect(received(sink)).toEqual(
      expect.arrayContaining([
        {
          ...at,
          facility: 10,
          severity: 4,
          hostname: 'server-1',
          appname: 'sshd',
          procid: '4711',
          text: 'Accepted publickey for root\nsecond line',
        },
        {
          ...at,
          facility: 1,
          severity: 6,
          hostname: 'this-one',
          appname: '-',
          procid: '-',
          text: 'no more than this',
        },
        {
          ...at,
          facility: 1,
          severity: 6,
          hostname: 'this-one',
          appname: 'files',
          procid: '-',
          text: 'GET / 200',
        },
      ]),
    );
    expect((await agent.stop()).summary).toMatchObject({ read: 3, delivered: 3, in_doubt: 0 });
  } finally {
    journal.remove();
    await sink.close();
  }
});

/** The value of a key of the unit. */
function unitValue(key: string): string {
  const line = readFileSync(UNIT, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${key}=`));
  return line?.slice(key.length + 1) ?? '';
}

test("the unit's command line: STATE_DIRECTORY takes the positions, SIGHUP reloads, SIGTERM ends it", async ({
  rig,
}) => {
  const sink = await new StreamSink().open();
  const journal = new StandIn(numbered(1, 4));
  mkdirSync(rig.path('state'));
  const config = rig.path('tailrace.yaml');
  writeFileSync(config, readFileSync(SAMPLE));
  const [program, ...args] = unitValue('ExecStart').replace('/etc/tailrace/tailrace.yaml', config).split(' ');
  expect(program).toBe('tailrace');
  expect(unitValue('ExecReload')).toBe('/bin/kill -HUP $MAINPID');
  const child = spawn(process.execPath, [join(ROOT, 'bin/tailrace.js'), ...args], {
    cwd: '/',
    env: {
      PATH: process.env['PATH'],
      STATE_DIRECTORY: rig.path('state'),
      JOURNALCTL: journal.command,
      JOURNAL_FROM_TAIL: 'off',
      LOG_FILES: rig.path('logs/*/*.log'),
      SYSLOG_PORT: String(sink.port),
      HTTP_PORT: '0',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  const saying = async (text: string): Promise<void> => {
    while (!said.includes(text)) {
      if (child.exitCode !== null) throw new Error(`It ended: ${said}`);
      await once(child.stderr, 'data');
    }
  };
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  try {
    await sink.until((bytes) => whole(bytes) === 3);
    expect(readdirSync(rig.path('state'))).toEqual([expect.stringMatching(/^tailrace-/)]);
    appendFileSync(config, '\n# changed\n');
    child.kill('SIGHUP');
    await saying('eload');
    const over = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await over).toEqual([0, null]);
    expect(said).toContain('0 in doubt');
  } finally {
    child.kill('SIGKILL');
    journal.remove();
    await sink.close();
  }
});

test('systemd-analyze finds nothing wrong with the unit', ({ rig }) => {
  const copy = rig.path('tailrace.service');
  // It looks for the program as well, which is not installed here.
  const program = join(ROOT, 'bin/tailrace.js');
  writeFileSync(copy, readFileSync(UNIT, 'utf8').replace('ExecStart=tailrace', `ExecStart=${program}`));
  const { error, status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', copy], {
    encoding: 'utf8',
  });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') {
    process.stderr.write('systemd-analyze is not on this machine: the unit was NOT verified.\n');
    return;
  }
  expect({ status, said: `${stdout}${stderr}` }).toEqual({ status: 0, said: '' });
  const security = spawnSync('systemd-analyze', ['security', '--offline=true', copy], { encoding: 'utf8' });
  const [, exposure] = /exposure level for .*: ([\d.]+)/.exec(security.stdout) ?? [];
  // Of 10: what is left is network, journal and files, which it is for.
  expect(Number(exposure)).toBeLessThan(2.5);
});
