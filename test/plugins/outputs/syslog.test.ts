import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import syslog from '../../../plugins/outputs/syslog.ts';
import { loadUnixDatagrams } from '../../../plugins/shared/unix-datagrams/native.ts';
import type { UnixDatagramSocket } from '../../../plugins/shared/unix-datagrams/native.ts';
import type { Output } from '../../../src/plugin.ts';
import { RetryableError } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import type { TestContext } from '../../contract/support.ts';
import { tlsFile } from '../../net/servers.ts';
import { DatagramSink, StreamSink } from '../../net/sockets.ts';
import type { StreamSinkOptions } from '../../net/sockets.ts';
import { countedOf, linesOf, readSyslog5424 } from '../../support/syslog.ts';

for (const framing of ['newline', 'octet_counting'] as const) {
  describeOutput(`syslog by ${framing}`, async () => {
    const sink = await new StreamSink().open();
    const output = await createOutput(
      syslog,
      { mode: 'tcp', port: String(sink.port), syslog_framing: framing },
      contextIn('/'),
    );
    let sent = 0;
    const messages = (bytes: Buffer): Buffer[] => {
      try {
        return (framing === 'newline' ? linesOf : countedOf)(bytes);
      } catch {
        // The rest is on its way.
        return [];
      }
    };
    return {
      output: {
        ...output,
        async deliver(slices, signal) {
          const outcome = await output.deliver(slices, signal);
          sent += slices.reduce((sum, { length }) => sum + length, 0);
          return outcome;
        },
      },
      arrived: async () => {
        await sink.until((bytes) => messages(bytes).length === sent);
        return messages(sink.bytes).map((message) => parseExact(readSyslog5424(message).text ?? ''));
      },
      cleanUp: () => sink.close(),
    };
  });
}

describe('syslog', () => {
  let cleanUps: (() => Promise<unknown> | void)[];

  beforeEach(() => {
    cleanUps = [];
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const open = async (options: Record<string, string>): Promise<{ output: Output; context: TestContext }> => {
    const context = contextIn('/');
    const output = await createOutput(syslog, { syslog_message_key: 'log', ...options }, context);
    cleanUps.push(() => output.close?.());
    return { output, context };
  };
  const stream = async (options: StreamSinkOptions = {}): Promise<StreamSink> => {
    const sink = await new StreamSink(options).open();
    cleanUps.push(() => sink.close());
    return sink;
  };
  const two = [sliceOf('app', ['{"log":"one"}']), sliceOf('b', ['{"log":"two\\nlines"}'])];

  it('udp: a datagram each, without a line end', async () => {
    const sink = await new DatagramSink().open();
    cleanUps.push(() => sink.close());
    const { output } = await open({ port: String(sink.port) });
    expect(await output.deliver(two, noAbort())).toEqual({});
    expect((await sink.received(2)).map((datagram) => readSyslog5424(datagram).text)).toEqual([
      'one',
      'two\nlines',
    ]);
  });

  it('udp: rejects what no datagram can have', async () => {
    const sink = await new DatagramSink().open();
    cleanUps.push(() => sink.close());
    const { output } = await open({ port: String(sink.port) });
    const records = [{ record: { log: 'a' } }, { record: { log: 'x'.repeat(66_000) } }];
    expect(await output.deliver([sliceOf('app', records)], noAbort())).toEqual({
      rejected: [{ index: 1, reason: expect.stringContaining('more than a datagram can have') }],
    });
  });

  describe('unix_udp', () => {
    const openUnix = async (): Promise<{ output: Output; bind: () => UnixDatagramSocket }> => {
      const folder = mkdtempSync(join(tmpdir(), 'syslog-'));
      cleanUps.push(() => rmSync(folder, { recursive: true }));
      const path = join(folder, 'log');
      const datagrams = await loadUnixDatagrams();
      const bind = (): UnixDatagramSocket => {
        const socket = datagrams.bind(path);
        cleanUps.push(() => socket.close());
        return socket;
      };
      return { output: (await open({ mode: 'unix_udp', path })).output, bind };
    };
    const textsIn = (socket: UnixDatagramSocket): (string | undefined)[] => {
      const texts: (string | undefined)[] = [];
      const buffer = Buffer.alloc(300_000);
      for (let length = socket.receive(buffer); length >= 0; length = socket.receive(buffer))
        texts.push(readSyslog5424(buffer.subarray(0, length)).text);
      return texts;
    };

    it('sends a datagram each, without a line end', async () => {
      const { output, bind } = await openUnix();
      const socket = bind();
      expect(await output.deliver(two, noAbort())).toEqual({});
      expect(textsIn(socket)).toEqual(['one', 'two\nlines']);
    });

    it('waits while the queue is full, and stops waiting when it shall', async () => {
      const { output, bind } = await openUnix();
      const socket = bind();
      const records = Array.from({ length: 2000 }, (_, n) => ({ record: { log: String(n) } }));
      const delivery = output.deliver([sliceOf('app', records)], noAbort());
      const texts: (string | undefined)[] = [];
      while (!(await Promise.race([delivery.then(() => true), turn(false)]))) texts.push(...textsIn(socket));
      texts.push(...textsIn(socket));
      expect(await delivery).toEqual({});
      expect(texts).toEqual(records.map(({ record }) => record.log));

      const stop = new AbortController();
      const waiting = output.deliver([sliceOf('app', records)], stop.signal);
      stop.abort(new Error('stop'));
      await expect(waiting).rejects.toThrow('stop');
    });

    it('tries again while nobody is there, and with whoever takes the place', async () => {
      const { output, bind } = await openUnix();
      await expect(output.deliver(two, noAbort())).rejects.toThrow(/^unix:.*connecting failed: ENOENT/);
      const first = bind();
      expect(await output.deliver(two, noAbort())).toEqual({});
      first.unlink();
      first.close();
      const second = bind();
      await expect(output.deliver(two, noAbort())).rejects.toBeInstanceOf(RetryableError);
      expect(await output.deliver(two, noAbort())).toEqual({});
      expect(textsIn(second)).toEqual(['one', 'two\nlines']);
    });

    it('rejects what no datagram can have', async () => {
      const { output, bind } = await openUnix();
      const socket = bind();
      const records = [{ record: { log: 'x'.repeat(5_000_000) } }, { record: { log: 'a' } }];
      expect(await output.deliver([sliceOf('app', records)], noAbort())).toEqual({
        rejected: [{ index: 0, reason: expect.stringContaining('more than a datagram can have') }],
      });
      expect(textsIn(socket)).toEqual(['a']);
    });
  });

  it.each([
    ['mode tls', { mode: 'tls' }],
    ['mode tcp with tls', { mode: 'tcp', tls: 'on' }],
  ])('%s encrypts, and checks who is there', async (_name, options) => {
    const sink = await stream({ certificate: 'server' });
    const trusted = { ...options, port: String(sink.port), 'tls.ca_file': tlsFile('ca.pem') };
    const { output } = await open(trusted);
    expect(await output.deliver(two, noAbort())).toEqual({});
    await sink.until((bytes) => bytes.toString().includes('two#012lines\n'));
    const { output: wrong } = await open({ ...trusted, 'tls.ca_file': tlsFile('other.pem') });
    await expect(wrong.deliver(two, noAbort())).rejects.toThrow(/^tls:\/\/127\.0\.0\.1:\d+: its certificate/);
  });

  it('names an expired certificate, a wrong name, and a server without TLS', async () => {
    const expired = await stream({ certificate: 'expired' });
    const plain = await stream();
    const failing = async (options: Record<string, string>): Promise<Error> => {
      const { output } = await open({ mode: 'tls', ...options });
      const error = await output.deliver(two, noAbort()).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(RetryableError);
      return error as Error;
    };
    expect(
      await failing({ port: String(expired.port), 'tls.ca_file': tlsFile('expired.pem') }),
    ).toMatchObject({
      message: expect.stringMatching(/its certificate has expired/),
    });
    expect(await failing({ host: 'nowhere.invalid' })).toMatchObject({
      message: expect.stringMatching(/^tls:\/\/nowhere\.invalid:514: the host name/),
    });
    expect(await failing({ port: String(plain.port), 'net.connect_timeout': '100ms' })).toMatchObject({
      message: expect.stringMatching(/no connection within net.connect_timeout/),
    });
  });

  it('unix_tcp: a stream socket at a path', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tailrace-syslog-'));
    cleanUps.push(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'log');
    const sink = await stream({ path });
    const { output } = await open({ mode: 'unix_tcp', path });
    expect(await output.deliver(two, noAbort())).toEqual({});
    await sink.until((bytes) => bytes.toString().includes('two#012lines\n'));
  });

  it('tells what it changed: counts, and one line', async () => {
    const sink = await stream();
    const { output, context } = await open({
      mode: 'tcp',
      port: String(sink.port),
      syslog_severity_key: 'sev',
      syslog_appname_key: 'app',
      syslog_maxsize: '60',
    });
    const records = Array.from({ length: 3 }, () => ({
      record: { log: 'long '.repeat(20), sev: 'loud', app: 'a b' },
    }));
    await output.deliver([sliceOf('app', records)], noAbort());
    await sink.close();
    // Not counted: it is sent again.
    await expect(output.deliver([sliceOf('app', records)], noAbort())).rejects.toThrow(/ECONNREFUSED/);
    await sink.open();
    await output.deliver([sliceOf('app', records)], noAbort());
    const family = context.metrics.counter('tailrace_output_changed_fields_total', '');
    expect(['cut', 'fitted', 'unknown'].map((change) => family.sum({ change, name: 'out' }))).toEqual([
      6, 6, 6,
    ]);
    expect(context.log.lines.map(({ message }) => message).toSorted()).toEqual([
      expect.stringMatching(/^Header fields/),
      expect.stringMatching(/^Messages were cut/),
      expect.stringMatching(/^Records have a severity/),
    ]);
  });

  it.each([
    [{}, []],
    [{ mode: 'unix_udp' }, [expect.stringMatching(/^path is missing: mode unix_udp/)]],
    [{ mode: 'unix_udp', path: '/x' }, []],
    [
      { mode: 'unix_udp', path: '/x', tls: 'on' },
      [expect.stringMatching(/^tls does not go with mode unix_udp/)],
    ],
    [{ mode: 'dtls' }, [expect.stringMatching(/^mode is not there: Node\.js has no DTLS/)]],
    [{ mode: 'unix_tcp' }, [expect.stringMatching(/^path is missing/)]],
    [{ mode: 'tcp', path: '/x' }, [expect.stringMatching(/^path has no effect/)]],
    [{ tls: 'on' }, [expect.stringMatching(/^tls does not go with mode udp/)]],
    [{ mode: 'tls', 'tls.verify_hostname': 'off' }, [expect.stringMatching(/^tls.verify_hostname is off/)]],
    [{ syslog_framing: 'octet_counting' }, [expect.stringMatching(/^syslog_framing has no effect/)]],
    [{ syslog_format: 'rfc3164' }, [expect.stringMatching(/^syslog_format rfc3164 wants a host name/)]],
    [{ syslog_format: 'rfc3164', syslog_hostname_preset: 'h' }, []],
    [
      { syslog_format: 'rfc3164', syslog_hostname_key: 'h', syslog_sd_key: 'sd' },
      [expect.stringMatching(/^syslog_sd_key has no effect/)],
    ],
    [
      { syslog_sd_key: ['a b', 'c', 'a_b'] },
      [expect.stringMatching(/^syslog_sd_key becomes the element a_b/)],
    ],
    [{ syslog_sd_key: '$a.b' }, [expect.stringMatching(/^syslog_sd_key cannot be read/)]],
    [{ syslog_message_key: '$' }, [expect.stringMatching(/^syslog_message_key cannot be read/)]],
  ])('check %j', (options, problems) => {
    expect(problemsOf(syslog, options)).toEqual(problems);
  });
});
