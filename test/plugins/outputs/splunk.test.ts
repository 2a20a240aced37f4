/** Against a stand-in of HTTP Event Collector: test/support/hec.ts says why and how strict it is. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import splunk from '../../../plugins/outputs/splunk.ts';
import { eventTime } from '../../../plugins/outputs/splunk/events.ts';
import type { Outcome, Output, Slice } from '../../../src/plugin.ts';
import { RetryableError, SplitError } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import type { Event } from '../../contract/support.ts';
import { tlsFile } from '../../net/servers.ts';
import type { ServerOptions } from '../../net/servers.ts';
import { Hec } from '../../support/hec.ts';
import type { HecOptions } from '../../support/hec.ts';

const LOCAL = { 'net.proxy_env_ignore': 'on', splunk_token: 'token', ack_poll_interval: '5ms' };

describeOutput('splunk', async () => {
  const hec = await new Hec().open();
  return {
    output: await createOutput(splunk, { ...LOCAL, port: String(hec.port) }, contextIn('/')),
    arrived: () => hec.events.map(({ event }) => event),
    cleanUp: () => hec.close(),
  };
});

describeOutput('splunk with acknowledgements', async () => {
  const hec = await new Hec({ acknowledges: true }).open();
  return {
    output: await createOutput(
      splunk,
      { ...LOCAL, port: String(hec.port), indexer_ack: 'on' },
      contextIn('/'),
    ),
    arrived: () => hec.events.map(({ event }) => event),
    cleanUp: () => hec.close(),
  };
});

describeOutput('splunk, raw', async () => {
  const hec = await new Hec().open();
  return {
    output: await createOutput(splunk, { ...LOCAL, port: String(hec.port), endpoint: 'raw' }, contextIn('/')),
    arrived: () => hec.lines.map((line) => parseExact(line)),
    cleanUp: () => hec.close(),
  };
});

describe('splunk', () => {
  let hecs: Hec[];
  let outputs: Output[];

  beforeEach(() => {
    hecs = [];
    outputs = [];
  });

  afterEach(async () => {
    for (const output of outputs) await output.close?.();
    for (const hec of hecs) await hec.close();
  });

  const start = async (
    options: Record<string, string | string[]> = {},
    hecOptions: HecOptions = {},
    serverOptions: ServerOptions = {},
  ) => {
    const hec = await new Hec(hecOptions).open(serverOptions);
    hecs.push(hec);
    const context = contextIn('/');
    const output = await createOutput(splunk, { ...LOCAL, port: String(hec.port), ...options }, context);
    outputs.push(output);
    return {
      hec,
      context,
      deliver: (slices: Slice[], signal = noAbort()): Promise<Outcome> => output.deliver(slices, signal),
    };
  };
  /** The text of the first request's body for these records. */
  const bodyOf = async (
    options: Record<string, string | string[]>,
    events: readonly (Event | string)[],
  ): Promise<string> => {
    const { hec, deliver } = await start(options);
    expect(await deliver([sliceOf('app.web', events)])).toEqual({});
    return hec.requests[0]?.body.toString() ?? '';
  };

  describe('events', () => {
    it('are spliced into envelopes', async () => {
      expect(await bodyOf({}, ['{ "a" : 1.0 }', { record: '{}', nanos: 123_456_789 }])).toBe(
        '{"time":1700000000.5,"event":{ "a" : 1.0 }}{"time":1700000000.123456789,"event":{}}',
      );
    });

    it('have metadata', async () => {
      const options = {
        event_host: '$TAG[1]',
        event_source: '$file',
        event_sourcetype: 'app',
        event_sourcetype_key: '$st',
        event_index: 'main',
        event_index_key: "$x['index']",
        event_field: ['level $level', 'n $n', 'map $x', 'gone $gone', 'none $none', 'list $list'],
      };
      const record =
        '{"file":"/a \\"b\\"","st":"web","x":{"index":"other"},"level":"warn","n":12345678901234567890,"none":null,"list":[1,"a"]}';
      expect(await bodyOf(options, [record, '{}'])).toBe(
        '{"time":1700000000.5,"host":"web","source":"/a \\"b\\"","sourcetype":"web","index":"other",' +
          '"fields":{"level":"warn","n":12345678901234567890,"map":"{\\"index\\":\\"other\\"}","list":[1,"a"]},' +
          `"event":${record}}` +
          '{"time":1700000000.5,"host":"web","sourcetype":"app","index":"main","fields":{},"event":{}}',
      );
    });

    it('can be one key of the record', async () => {
      expect(
        await bodyOf({ event_key: '$log' }, ['{"log":"a \\"b\\"\\n","n":1}', '{"n":2}', '{"log":5}']),
      ).toBe(
        '{"time":1700000000.5,"event":"a \\"b\\"\\n"}{"time":1700000000.5,"event":{"n":2}}{"time":1700000000.5,"event":"5"}',
      );
    });

    it('can bring their envelope along', async () => {
      expect(await bodyOf({ splunk_send_raw: 'on' }, ['{"time":1,"event":"a"}', '{"event":{"b":1}}'])).toBe(
        '{"time":1,"event":"a"}\n{"event":{"b":1}}\n',
      );
    });

    it('can leave their time to Splunk', async () => {
      const { hec, deliver } = await start({ auto_extract_timestamp: 'on', event_sourcetype: 'x' });
      expect(await deliver([sliceOf('t', ['{"a":1}'])])).toEqual({});
      expect(hec.requests[0]?.url).toBe('/services/collector/event?auto_extract_timestamp=true');
      expect(hec.requests[0]?.body.toString()).toBe('{"sourcetype":"x","event":{"a":1}}');
    });

    it('can be compressed', async () => {
      const { hec, deliver } = await start({ compress: 'gzip' });
      expect(await deliver([sliceOf('t', ['{"a":1}'])])).toEqual({});
      expect(hec.requests[0]?.headers['content-encoding']).toBe('gzip');
      expect(hec.events.map(({ event }) => event)).toEqual([{ a: 1 }]);
    });

    it('can be lines, with the metadata in the query', async () => {
      const { hec, deliver } = await start({
        endpoint: 'raw',
        event_key: '$log',
        event_host: 'a&b',
        event_source: '/x',
        event_sourcetype: 'y',
        event_index: 'z',
        compress: 'gzip',
      });
      expect(await deliver([sliceOf('t', ['{"log":"one\\ntwo"}', '{"n":1}'])])).toEqual({});
      expect(hec.requests[0]?.url).toBe(
        '/services/collector/raw?host=a%26b&source=%2Fx&sourcetype=y&index=z',
      );
      expect(hec.lines).toEqual(['one\\ntwo', '{"n":1}']);
      expect(hec.requests[0]?.headers['x-splunk-request-channel']).toMatch(/^[0-9a-f-]{36}$/);
    });

    it.each([
      [1_700_000_000, 0, '1700000000.0'],
      [1_700_000_000, 120_000_000, '1700000000.12'],
      [0, 1, '0.000000001'],
      [-1, 500_000_000, '-0.500000000'],
    ])('have a time: %i s, %i ns', (seconds, nanos, text) => {
      expect(eventTime(seconds, nanos)).toBe(text);
    });
  });

  it('shows its credentials: a user before the token', async () => {
    const token = await start({ splunk_token: 'token\n', channel: 'A9B2D5A3-1B0C-4D5E-8F70-123456789ABC' });
    expect(await token.deliver([sliceOf('t', ['{}'])])).toEqual({});
    expect(token.hec.requests[0]?.headers).toMatchObject({
      authorization: 'Splunk token',
      'x-splunk-request-channel': 'A9B2D5A3-1B0C-4D5E-8F70-123456789ABC',
      'user-agent': 'Tailrace/1.2.3',
    });
    // As Fluent Bit: HEC goes by the path.
    expect(token.hec.requests[0]?.headers['content-type']).toBeUndefined();
    const user = await start({ http_user: 'x', http_passwd: 'token' });
    expect(await user.deliver([sliceOf('t', ['{}'])])).toEqual({});
    expect(user.hec.requests[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from('x:token').toString('base64')}`,
    );
  });

  describe('bad events', () => {
    const numbered = (bad: readonly number[], total: number): Slice =>
      sliceOf(
        't',
        Array.from({ length: total }, (_, n) =>
          bad.includes(n) ? `{"no":"envelope","n":${n}}` : `{"event":{"n":${n}}}`,
        ),
      );
    const arrived = (hec: Hec): number[] => hec.events.map(({ event }) => (event as { n: number }).n);

    it.each([false, true])(
      'are given up, the others are there (before a bad one they are kept: %s)',
      async (keepsBefore) => {
        const { hec, deliver } = await start({ splunk_send_raw: 'on' }, { keepsBefore });
        expect(await deliver([numbered([3, 4, 9], 10)])).toEqual({
          retry: [],
          rejected: [3, 4, 9].map((index) => ({ index, status: 400, reason: 'Invalid data format' })),
        });
        expect([...new Set(arrived(hec))].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 5, 6, 7, 8]);
        // None is there more than twice, and only once where Splunk keeps none of a refused request.
        expect(arrived(hec)).toHaveLength(keepsBefore ? 14 : 7);
      },
    );

    it('leave it to the queue whose fault it is when nothing is taken', async () => {
      const { deliver } = await start({ splunk_send_raw: 'on' });
      await expect(deliver([numbered([0], 1)])).rejects.toThrow(SplitError);
      await expect(deliver([numbered([0, 1], 2)])).rejects.toThrow(SplitError);
      const many = Array.from({ length: 50 }, (_, n) => n);
      await expect(deliver([numbered(many, 50)])).rejects.toThrow(SplitError);
    });

    it('are bounded in one attempt', async () => {
      const { hec, deliver } = await start({ splunk_send_raw: 'on' });
      const bad = Array.from({ length: 300 }, (_, n) => n + 1);
      const outcome = await deliver([numbered(bad, 400)]);
      expect(outcome.rejected).toHaveLength(200);
      expect(outcome.retry).toHaveLength(199);
      expect(outcome.reason).toMatch(/refuses many events/);
      expect(arrived(hec)).toEqual([0]);
    });

    it('by an index of their own are given up', async () => {
      const { hec, deliver } = await start({ event_index_key: '$i' }, { indexes: ['main'] });
      expect(await deliver([sliceOf('t', ['{"i":"main"}', '{"i":"nope"}', '{"i":"main"}'])])).toEqual({
        retry: [],
        rejected: [{ index: 1, status: 400, reason: 'Incorrect index' }],
      });
      expect(hec.events).toHaveLength(2);
    });

    it('are shown where that is wanted', async () => {
      const { context, deliver } = await start({ splunk_send_raw: 'on', http_debug_bad_request: 'on' });
      await deliver([numbered([1], 3)]);
      expect(context.log.lines).toEqual([
        {
          level: 'warn',
          fields: {
            answer: '{"text":"Invalid data format","code":6,"invalid-event-number":1}',
            request: '{"event":{"n":0}}\n{"no":"envelope","n":1}\n{"event":{"n":2}}\n',
          },
          message: 'Splunk refused a request',
        },
      ]);
    });
  });

  describe('faults', () => {
    const errorOf = async (
      options: Record<string, string>,
      hecOptions: HecOptions = {},
      fault?: number,
    ): Promise<Error> => {
      const { hec, deliver } = await start(options, hecOptions);
      hec.fault = fault;
      return (await deliver([sliceOf('t', ['{"a":1}', '{"b":2}'])]).catch(
        (error: unknown) => error,
      )) as Error;
    };

    it.each([
      [1, /answered 403: the token is disabled: enable it in Splunk \(Token disabled\)/],
      [2, /answered 401: it wants a token: set splunk_token/],
      [3, /answered 401: the authorization is not as it should be/],
      [
        4,
        /127\.0\.0\.1:\d+\/services\/collector\/event answered 403: it does not know the token: check splunk_token/,
      ],
      [7, /answered 400: the index is not there, or the token may not write to it: check event_index/],
      [8, /answered 500/],
      [9, /answered 503 .*Server is busy/],
      [10, /answered 400: it wants a channel: set channel/],
      [11, /answered 400: it does not take the channel/],
      [14, /answered 400: the token has no indexer acknowledgement/],
    ])('of the destination (code %i) are waited for', async (code, message) => {
      const error = await errorOf({}, {}, code);
      expect(error).toBeInstanceOf(RetryableError);
      expect(error.message).toMatch(message);
    });

    it('name no token', async () => {
      const error = await errorOf({ splunk_token: 'canary' });
      expect(error.message).toMatch(/does not know the token/);
      expect(error.message).not.toContain('canary');
    });

    it('of size are halved', async () => {
      expect(await errorOf({}, { maxLength: 20 })).toMatchObject({ name: 'SplitError', status: 413 });
    });

    it('of a request that nothing is known of are halved', async () => {
      expect(await errorOf({}, {}, 5)).toMatchObject({ name: 'SplitError', status: 400 });
    });

    it('behind a bad event ask for the rest again', async () => {
      const { hec, deliver } = await start({ event_index_key: '$i' }, { indexes: ['main'] });
      const events = ['{"i":"main"}', '{"i":"nope"}', '{"i":"main"}'];
      const first = deliver([sliceOf('t', events)]);
      // The second request is refused.
      const { requests } = hec;
      const push = requests.push.bind(requests);
      requests.push = (request) => {
        if (requests.length === 1) hec.fault = 9;
        return push(request);
      };
      expect(await first).toEqual({
        rejected: [{ index: 1, status: 400, reason: 'Incorrect index' }],
        retry: [0, 2],
        reason: expect.stringMatching(/answered 503/),
      });
    });

    it('name an expired certificate', async () => {
      const { deliver } = await start(
        { tls: 'on', 'tls.ca_file': tlsFile('expired.pem') },
        {},
        { tls: { certificate: 'expired' } },
      );
      await expect(deliver([sliceOf('t', ['{}'])])).rejects.toThrow(/its certificate has expired/);
    });
  });

  describe('indexer acknowledgement', () => {
    const ACKS = { acknowledges: true };

    it('is waited for, on a channel of its own', async () => {
      const { hec, deliver } = await start({ indexer_ack: 'on' }, ACKS);
      hec.indexesAtOnce = false;
      let settled = false;
      const delivery = deliver([sliceOf('t', ['{"a":1}'])]).then((outcome) => {
        settled = true;
        return outcome;
      });
      const polls = (): number => hec.requests.filter(({ url }) => url.endsWith('/ack')).length;
      while (polls() < 2) await new Promise((resolve) => setImmediate(resolve));
      expect(settled).toBe(false);
      hec.index();
      expect(await delivery).toEqual({});
      const channels = new Set(hec.requests.map(({ headers }) => headers['x-splunk-request-channel']));
      expect(channels.size).toBe(1);
      expect([...channels][0]).toMatch(/^[0-9a-f]{8}-/);
    });

    it('is asked for together by all that wait', async () => {
      const { hec, deliver } = await start({ indexer_ack: 'on', ack_poll_interval: '100ms' }, ACKS);
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, (_, n) => deliver([sliceOf('t', [{ record: { n } }])])),
      );
      expect(outcomes).toEqual(Array.from({ length: 10 }, () => ({})));
      expect(hec.requests.filter(({ url }) => url.endsWith('/ack')).length).toBeLessThan(10);
      expect(hec.events).toHaveLength(10);
    });

    it('that does not come in time has the events sent again', async () => {
      const { hec, deliver } = await start({ indexer_ack: 'on', ack_timeout: '50ms' }, ACKS);
      hec.indexesAtOnce = false;
      await expect(deliver([sliceOf('t', ['{"a":1}'])])).rejects.toThrow(
        /did not acknowledge the events within 0\.05 s/,
      );
      hec.forgetAcks();
      hec.indexesAtOnce = true;
      expect(await deliver([sliceOf('t', ['{"a":1}'])])).toEqual({});
    });

    it('gives up at once on abort, and at the end', async () => {
      const { hec, deliver } = await start({ indexer_ack: 'on' }, ACKS);
      hec.indexesAtOnce = false;
      const stop = new AbortController();
      const delivery = deliver([sliceOf('t', ['{"a":1}'])], stop.signal);
      while (hec.events.length === 0) await new Promise((resolve) => setImmediate(resolve));
      stop.abort(new Error('The test stops.'));
      await expect(delivery).rejects.toThrow('The test stops.');
      const failed = deliver([sliceOf('t', ['{"a":2}'])]).catch((error: unknown) => error);
      while (hec.events.length < 2) await new Promise((resolve) => setImmediate(resolve));
      while (hec.requests.filter(({ url }) => url.endsWith('/ack')).length === 0)
        await new Promise((resolve) => setImmediate(resolve));
      await outputs[0]?.close?.();
      expect(await failed).toMatchObject({ name: 'RetryableError', message: 'The output was closed' });
    });

    it('is said to be missing once, and what was taken counts', async () => {
      const { context, deliver } = await start({ indexer_ack: 'on' });
      for (let n = 0; n < 3; n++) expect(await deliver([sliceOf('t', ['{"a":1}'])])).toEqual({});
      expect(context.log.lines.map(({ message }) => message)).toEqual([
        expect.stringMatching(/^Splunk gives no acknowledgement numbers/),
      ]);
    });
  });

  it('has its attempts side by side where acknowledgements are waited for', () => {
    const traits = (indexer_ack: boolean) =>
      splunk.traits?.({ indexer_ack, batch_size: 5 } as Parameters<NonNullable<typeof splunk.traits>>[0]);
    expect(traits(false)).toEqual({ workers: 2, limits: { bytes: 5 } });
    expect(traits(true)).toEqual({ workers: 16, order: 'none', limits: { bytes: 5 } });
  });

  it('says in the check what cannot work', () => {
    const ok = { splunk_token: 'x' };
    expect(problemsOf(splunk, ok)).toEqual([]);
    expect(problemsOf(splunk, { http_user: 'x' })).toEqual([]);
    expect(problemsOf(splunk, {})).toEqual([expect.stringMatching(/^splunk_token is missing/)]);
    expect(problemsOf(splunk, { splunk_token: 'a\nb' })).toEqual([
      expect.stringMatching(/^splunk_token holds/),
    ]);
    expect(problemsOf(splunk, { ...ok, event_key: '$', event_host: '$a[', event_field: ['a $b.c'] })).toEqual(
      [
        expect.stringMatching(/^event_host cannot be read/),
        expect.stringMatching(/^event_key cannot be read/),
        expect.stringMatching(/^event_field cannot be read/),
      ],
    );
    expect(problemsOf(splunk, { ...ok, channel: 'a\nb' })).toEqual([expect.stringMatching(/^channel has/)]);
    expect(problemsOf(splunk, { ...ok, ack_timeout: '10m' })).toEqual([
      expect.stringMatching(/^ack_timeout is too long/),
    ]);
    expect(
      problemsOf(splunk, {
        ...ok,
        endpoint: 'raw',
        event_field: ['a $b'],
        event_index_key: '$i',
        event_host: '$h',
        event_source: 'fixed',
        splunk_send_raw: 'on',
      }),
    ).toEqual([
      expect.stringMatching(/^event_field does not go with endpoint raw/),
      expect.stringMatching(/^event_index_key does not go with endpoint raw/),
      expect.stringMatching(/^event_host may have no variables/),
      expect.stringMatching(/^splunk_send_raw does not go with endpoint raw/),
    ]);
  });
});
