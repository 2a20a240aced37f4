/** The syslog input in a real agent: its sample, and what becomes of messages when nobody takes them. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { freePort } from '../services/support/server.ts';
import { test } from '../support/e2e.ts';
import { numbered } from '../support/numbered.ts';
import { unixSender } from '../support/unix-datagram-sender.ts';

async function tcp(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  // The agent may be gone before it is closed.
  socket.on('error', () => {});
  return socket;
}

test('pipelines/syslog-receiver.yaml', async ({ rig }) => {
  const port = await freePort();
  const path = rig.path('log');
  const agent = await rig.start({
    config: join(import.meta.dirname, '../../pipelines/syslog-receiver.yaml'),
    env: { SYSLOG_LISTEN_PORT: String(port), SYSLOG_SOCKET: path },
  });
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  socket.send('<13>Nov  1 00:00:00 web-1 app[7]: hello by UDP', port, '127.0.0.1');
  (await tcp(port)).end('<34>1 2003-10-11T22:14:15.003Z web-2 su - ID47 [a b="c"] hello by TCP\n');
  await unixSender(path).send('<13>Nov  1 00:00:00 app[7]: hello by a unix socket');
  await agent.shown(3);
  const shown = agent.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .toSorted((a, b) => String(a['message']).localeCompare(String(b['message'])));
  expect(shown).toMatchObject([
    { ident: 'app', pid: '7', message: 'hello by a unix socket' },
    {
      pri: '34',
      host: 'web-2',
      ident: 'su',
      msgid: 'ID47',
      structured_data: { a: { b: 'c' } },
      message: 'hello by TCP',
    },
    { pri: '13', facility: 'user', severity: 'notice', host: 'web-1', message: 'hello by UDP' },
  ]);
  expect((await agent.stop()).summary).toMatchObject({ delivered: 3, in_doubt: 0 });
});

test('while the destination is away messages go to disk, and all of them arrive, also after a restart', async ({
  rig,
}) => {
  const sink = await rig.sink();
  let isUp = false;
  sink.behave = () => ({ status: isUp ? 200 : 503 });
  rig.configure(`
service:
  flush: 0.02
  grace: 1
  memory_limit: 1M
  scheduler.base: 0.05
  scheduler.cap: 0.1
parsers:
  - name: numbered
    format: regex
    regex: '^<\\d+>(?<log>.*)$'
pipeline:
  inputs:
    - name: syslog
      mode: tcp
      port: 0
      parser: numbered
  outputs:
    - name: http
      match: '*'
      port: ${sink.port}
      format: json_lines
      json_date_key: off
`);
  const agent = await rig.start();
  const { port } = await agent.said(/^Listening for syslog messages$/);
  const socket = await tcp(Number(port));
  const total = 20_000;
  for (let n = 0; n < total; n++) {
    if (!socket.write(`<13>${numbered('a', n, 200)}\n`)) await once(socket, 'drain');
  }
  await agent.until((scrape) => scrape.sum('tailrace_input_read_records_total') === total);
  await agent.stop();
  isUp = true;
  const again = await rig.start();
  await again.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === total);
  expect(sink.distinct).toBe(total);
});

test("without a parser it is Fluent Bit's, which the configuration may define anew", async ({ rig }) => {
  const pipeline = (parsers: string): string => `
service:
  flush: 0.02
${parsers}
pipeline:
  inputs:
    - name: syslog
      mode: tcp
      port: 0
  outputs:
    - name: stdout
      match: '*'
      format: json_lines
      json_date_key: off
`;
  const shownBy = async (config: string): Promise<unknown> => {
    rig.configure(config);
    const agent = await rig.start({ state: 'off' });
    const { port } = await agent.said(/^Listening for syslog messages$/);
    (await tcp(Number(port))).end('<34>1 2003-10-11T22:14:15.003Z web-2 su - ID47 - hello\n');
    await agent.shown(1);
    await agent.stop();
    return JSON.parse(agent.stdout) as unknown;
  };
  expect(await shownBy(pipeline(''))).toEqual({
    pri: '34',
    time: '2003-10-11T22:14:15.003Z',
    host: 'web-2',
    ident: 'su',
    pid: '-',
    msgid: 'ID47',
    extradata: '-',
    message: 'hello',
  });
  const own = `parsers:
  - name: syslog-rfc5424
    format: regex
    regex: '^<(?<own>\\d+)>'`;
  expect(await shownBy(pipeline(own))).toEqual({ own: '34' });
});
