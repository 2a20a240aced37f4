/** Destinations behind sockets that are not there: one line in the log, everything kept, and delivered once they are. */
import { writeFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { DatagramSink, StreamSink } from '../net/sockets.ts';
import { test } from '../support/e2e.ts';

const COUNT = 50;

const OUTPUTS = {
  tcp: ['name: tcp', 'format: json_lines'],
  'gelf by tcp': ['name: gelf', 'mode: tcp', 'gelf_short_message_key: log'],
  udp: ['name: udp'],
  'syslog by udp': ['name: syslog', 'syslog_message_key: log'],
  'gelf by udp': ['name: gelf', 'gelf_short_message_key: log', 'compress: off'],
} as const;

describe('a destination that is not there', () => {
  test.for(Object.entries(OUTPUTS))('%s', async ([name, lines], { rig }) => {
    const isStream = name.includes('tcp');
    const sink = isStream ? await new StreamSink().open() : await new DatagramSink().open();
    await sink.close();
    const texts = Array.from({ length: COUNT }, (_, n) => `record ${n}.`);
    writeFileSync(rig.path('in.log'), texts.map((text) => `${text}\n`).join(''));
    rig.configure(`
service: { flush: 0.1, scheduler.base: 0.05, scheduler.cap: 0.1 }
pipeline:
  inputs:
    - name: tail
      path: in.log
      tag: app
      read_from_head: true
  outputs:
    - match: app
      alias: out
      port: ${sink.port}
${lines.map((line) => `      ${line}\n`).join('')}`);
    const agent = await rig.start();
    await agent.until((scrape) => scrape.sum('tailrace_output_attempts_total', { result: 'failed' }) >= 5);
    const warnings = agent.log.filter(({ level }) => level === 'warn' || level === 'error');
    expect(warnings).toEqual([
      expect.objectContaining({
        output: 'out',
        error: expect.stringMatching(
          /^(?:tcp|udp):\/\/127\.0\.0\.1:\d+: the connection was refused: is it running, and is the port right\?/,
        ),
      }),
    ]);
    expect((await agent.scrape()).sum('tailrace_output_buffered_records')).toBe(COUNT);
    await sink.open();
    try {
      await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') === COUNT);
      const last = texts.at(-1) as string;
      if (sink instanceof StreamSink) await sink.until((bytes) => bytes.includes(last));
      else await sink.received(COUNT);
      const all = sink instanceof StreamSink ? sink.bytes : Buffer.concat(sink.datagrams);
      expect(texts.filter((text) => !all.includes(text))).toEqual([]);
      expect((await agent.stop()).summary).toMatchObject({ delivered: COUNT, in_doubt: 0 });
    } finally {
      await sink.close();
    }
  });
});
