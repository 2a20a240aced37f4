/** Broken messages on every listener, beside senders whose messages are well. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { test } from '../support/e2e.ts';
import { expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import { http, item, pipeline } from '../support/yaml.ts';

const ROUNDS = 60;
/** Lines that are well in a round. */
const EACH = 100;
const GOOD = ROUNDS * EACH;
/** Of broken messages at a time, one a connection. */
const AT_ONCE = 20;
/** Bytes; twice what it has at most. */
const PEAK = 300e6;

function request(path: string, body: string, encoding = ''): Buffer {
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${encoding}Content-Length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Messages that are well, by the input that takes them. */
const MESSAGES: Readonly<Record<string, readonly Buffer[]>> = {
  syslog: [
    Buffer.from('<13>1 2026-11-27T10:00:00.000Z h a 1 m [x@1 a="b"] hello\n'),
    Buffer.from('24 <13>1 - h a 1 m - hello..<34>Oct 11 22:14:15 host su[1]: x\n'),
  ],
  tcp: [Buffer.from('{"a":1,"b":[1,2,{"c":"d"}]}\n[1,2]')],
  forward: [Buffer.from('93a36170709192ce6500000081a16101c0', 'hex')],
  http: [request('/app', '{"a":1}'), request('/app', '{"a":1}', 'Content-Encoding: gzip\r\n')],
  splunk: [request('/services/collector/event', '{"event":"x","time":1}{"event":2}')],
  elasticsearch: [request('/_bulk', '{"index":{}}\n{"a":1}\n')],
  opentelemetry: [
    request('/v1/logs', '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}'),
  ],
};

/** The same numbers in every run. */
class Dice {
  private state = 1;

  below(limit: number): number {
    this.state = (Math.imul(this.state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((this.state / 2 ** 32) * limit);
  }

  broken(message: Buffer): Buffer {
    let bytes = Buffer.from(message);
    for (let times = 1 + this.below(5); times > 0; times--) {
      const at = this.below(bytes.length + 1);
      const kind = this.below(4);
      if (kind === 0 && at < bytes.length) bytes[at] = this.below(256);
      else if (kind === 1) bytes = bytes.subarray(0, at);
      else if (kind === 2) {
        const noise = Buffer.from(Array.from({ length: this.below(40) }, () => this.below(256)));
        bytes = Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
      } else if (bytes.length < 1000) bytes = Buffer.concat([bytes, bytes]);
    }
    return bytes;
  }
}

test('fault 37: broken messages harm nobody who sends good ones', async ({ rig }) => {
  const sink = await rig.sink();
  rig.configure(
    pipeline({
      inputs: [
        item('name: tcp', ['alias: good', 'tag: good', 'port: 0', 'format: none']),
        item('name: udp', ['alias: datagrams', 'port: 0', 'tag: noise']),
        ...Object.keys(MESSAGES).map((name) =>
          item(`name: ${name}`, [
            `alias: ${name}`,
            'tag: noise',
            'port: 0',
            ...(name === 'syslog' ? ['mode: tcp', 'parser: syslog'] : []),
          ]),
        ),
      ],
      outputs: [http(sink).replace("'*'", 'good'), item("name: 'null'", ['match: noise'])],
    }),
  );
  const agent = await rig.start();
  await agent.said(/^Tailrace is running/);
  const portOf = (name: string): number =>
    Number(agent.log.find(({ input, port }) => input === name && port !== undefined)?.['port']);

  const good = connect(portOf('good'), '127.0.0.1');
  onTestFinished(() => void good.destroy());
  const datagrams = createSocket('udp4');
  onTestFinished(() => void datagrams.close());
  const dice = new Dice();
  for (let round = 0; round < ROUNDS; round++) {
    good.write(numberedLines('good', EACH * round, EACH * (round + 1)));
    const over: Promise<unknown>[] = [];
    for (let count = 0; count < AT_ONCE; count++) {
      const [name, messages] = Object.entries(MESSAGES)[dice.below(7)] as [string, Buffer[]];
      const message = dice.broken(messages[dice.below(messages.length)] as Buffer);
      datagrams.send(message, portOf('datagrams'), '127.0.0.1');
      const socket = connect(portOf(name), '127.0.0.1');
      over.push(once(socket, 'close').catch(() => undefined));
      socket.on('error', () => {});
      socket.resume();
      // Half of them go in the middle of what they say.
      if (dice.below(2) === 0) socket.end(message);
      else socket.write(message, () => socket.destroy());
    }
    await Promise.all(over);
  }
  await sink.reached(GOOD);
  expectComplete(sink, { good: GOOD });
  const scrape = await agent.scrape();
  for (const reason of ['malformed', 'too_large'])
    expect(
      scrape.sum('tailrace_input_connections_closed_total', { name: 'forward', reason }),
    ).toBeGreaterThan(0);
  expect(agent.log.filter(({ level }) => level === 'error')).toEqual([]);
  expect(agent.peakMemory).toBeLessThan(PEAK);
  expect((await agent.stop()).code).toBe(0);
});
