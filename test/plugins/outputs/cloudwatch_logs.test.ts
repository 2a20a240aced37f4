import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import cloudwatchLogs from '../../../plugins/outputs/cloudwatch_logs.ts';
import type { Outcome, Output, Slice } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import type { Event, TestContext } from '../../contract/support.ts';
import { KEYS, stubAws } from '../shared/aws/support.ts';
import { StandIn } from './cloudwatch_logs/stand-in.ts';

const GROUP = '/app';
const STREAM = 'node-1';
const NAMES = { region: 'eu-central-1', log_group_name: GROUP, log_stream_name: STREAM };
const NOW = Math.floor(Date.now() / 1000);
const DAY = 86_400;

beforeEach(() => stubAws(KEYS));
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Events of now. */
const event = (record: string, seconds = NOW, nanos = 0): Event => ({ record, seconds, nanos });
const optionsFor = (standIn: StandIn, written: Record<string, string>): Record<string, string> => ({
  ...NAMES,
  endpoint: `http://127.0.0.1:${standIn.port}`,
  'net.proxy_env_ignore': 'on',
  ...written,
});

describeOutput('cloudwatch_logs', async () => {
  stubAws(KEYS);
  const standIn = await new StandIn().open();
  // The contract's records are of 2023.
  vi.setSystemTime(new Date(1_700_000_000_000));
  standIn.groups.set(GROUP, new Map());
  return {
    output: await createOutput(cloudwatchLogs, optionsFor(standIn, {}), contextIn('/')),
    arrived: () => standIn.all.map(({ message }) => parseExact(message)),
    async cleanUp() {
      vi.useRealTimers();
      await standIn.close();
    },
  };
});

describe('cloudwatch_logs', () => {
  let standIn: StandIn;
  let outputs: Output[];
  let context: TestContext;

  beforeEach(async () => {
    standIn = await new StandIn().open();
    standIn.groups.set(GROUP, new Map());
    outputs = [];
    context = contextIn('/');
  });

  afterEach(async () => {
    for (const output of outputs) await output.close?.();
    await standIn.close();
  });

  const open = async (written: Record<string, string> = {}): Promise<Output> => {
    const output = await createOutput(cloudwatchLogs, optionsFor(standIn, written), context);
    outputs.push(output);
    return output;
  };
  const delivered = async (written: Record<string, string>, slices: readonly Slice[]): Promise<Outcome> =>
    (await open(written)).deliver(slices, noAbort());
  const messages = (group = GROUP, stream = STREAM): string[] =>
    standIn.events(group, stream).map(({ message }) => message);

  describe('messages', () => {
    it('are the records as they are, with the time in milliseconds', async () => {
      const record = '{"log":"ü \\"q\\" \\\\ \\u2028","big":12345678901234567890,"f":1.0}';
      await delivered({}, [sliceOf('app', [event(record, NOW, 123_999_999)])]);
      expect(standIn.events(GROUP, STREAM)).toEqual([{ timestamp: NOW * 1000 + 123, message: record }]);
    });

    it('are the value under log_key, a text as it reads, anything else as its JSON', async () => {
      const slice = sliceOf('app', [
        event('{"n":1,"log":"a \\"quoted\\" \\u00fc\\n"}'),
        event('{"log":{"f":1.0,"x":[null]}}'),
        event('{"log":""}'),
        event('{"nested":{"log":"not this"},"l\\u006fg":"by an escaped key"}'),
        event('{"other":1}'),
        event('{"log":12345678901234567890}'),
      ]);
      expect(await delivered({ log_key: 'log' }, [slice])).toEqual({
        retry: [],
        rejected: [{ index: 4, reason: 'The record has nothing under log_key log.' }],
      });
      expect(messages()).toEqual([
        'a "quoted" ü\n',
        '{"f":1.0,"x":[null]}',
        ' ',
        'by an escaped key',
        '12345678901234567890',
      ]);
    });

    it('have a key that is not ASCII', async () => {
      await delivered({ log_key: 'größe' }, [
        sliceOf('app', [event('{"größe":"1"}'), event('{"gr\\u00f6ße":"2"}')]),
      ]);
      expect(messages()).toEqual(['1', '2']);
    });

    it('are announced as embedded metrics', async () => {
      await delivered({ log_format: 'json/emf' }, [sliceOf('app', [event('{"_aws":{}}')])]);
      expect(standIn.puts[0]?.headers['x-amzn-logs-format']).toBe('json/emf');
    });
  });

  describe('order and limits', () => {
    it('sorts by time, nanoseconds included, and leaves what is equal as it is', async () => {
      const slice = sliceOf('app', [
        event('{"n":3}', NOW, 500_000_002),
        event('{"n":1}', NOW, 500_000_001),
        event('{"n":4}', NOW, 500_000_002),
        event('{"n":0}', NOW - 1, 0),
      ]);
      const later = sliceOf('app', [event('{"n":2}', NOW, 500_000_001), event('{"n":5}', NOW + 1)]);
      await delivered({}, [slice, later]);
      expect(messages()).toEqual([0, 1, 2, 3, 4, 5].map((n) => `{"n":${n}}`));
    });

    it('sends no more than a day at once', async () => {
      const times = [NOW - 3 * DAY, NOW - 2 * DAY, NOW - 2 * DAY + 1, NOW];
      expect(
        await delivered({}, [
          sliceOf(
            'app',
            times.map((seconds) => event(`{"t":${seconds}}`, seconds)),
          ),
        ]),
      ).toEqual({});
      expect(
        standIn.puts.filter(({ events }) => events.length > 0).map(({ events }) => events.length),
      ).toEqual([
        // The first one twice: before the stream was made and afterwards.
        2, 2, 1, 1,
      ]);
    });

    it('cuts a record that is too large into parts that make it up again', async () => {
      const text = 'a"\\ü😀'.repeat(40_000);
      const record = JSON.stringify({ text });
      const slice = sliceOf('app', [event('{"n":1}'), event(record), event('{"n":2}')]);
      expect(await delivered({ max_event_size: '100k' }, [slice])).toEqual({});
      const all = messages();
      expect([all[0], all.at(-1)]).toEqual(['{"n":1}', '{"n":2}']);
      const parts = all.slice(1, -1).map((part) => JSON.parse(part) as Record<string, unknown>);
      expect(parts.length).toBeGreaterThan(5);
      expect(parts.map((part) => part['message']).join('')).toBe(record);
      expect(parts.map((part) => part['partial_ordinal'])).toEqual(parts.map((_, index) => index + 1));
      expect(parts.map((part) => part['partial_last'])).toEqual(
        parts.map((_, index) => index === parts.length - 1),
      );
      expect(new Set(parts.map((part) => part['partial_id'])).size).toBe(1);
      expect(parts.every((part) => part['partial_total'] === parts.length)).toBe(true);
      expect(all.every((message) => Buffer.byteLength(message) <= 100_000)).toBe(true);
    });

    it('counts an escaped text by what it reads as', async () => {
      const text = '\\u00e9'.repeat(20_000);
      await delivered({ log_key: 'log', max_event_size: '50k' }, [
        sliceOf('app', [event(`{"log":"${text}"}`)]),
      ]);
      expect(messages()).toEqual(['é'.repeat(20_000)]);
    });
  });

  describe('groups and streams', () => {
    it('makes a stream when it is not there, without asking before', async () => {
      await delivered({}, [sliceOf('app', [event('{"n":1}')])]);
      await outputs[0]?.deliver([sliceOf('app', [event('{"n":2}')])], noAbort());
      expect(standIn.actions).toEqual(['PutLogEvents', 'CreateLogStream', 'PutLogEvents', 'PutLogEvents']);
      expect(messages()).toEqual(['{"n":1}', '{"n":2}']);
    });

    it('makes a group with class and retention', async () => {
      const written = {
        log_group_name: '/new',
        auto_create_group: 'on',
        log_retention_days: '30',
        log_group_class: 'infrequent_access',
      };
      expect(await delivered(written, [sliceOf('app', [event('{}')])])).toEqual({});
      expect(standIn.settings.get('/new')).toEqual({
        retentionInDays: 30,
        logGroupClass: 'INFREQUENT_ACCESS',
      });
    });

    it('sets the retention later when that fails at first', async () => {
      standIn.refuse = (action) =>
        action === 'PutRetentionPolicy' && standIn.count('PutRetentionPolicy') === 1
          ? { status: 400, code: 'ThrottlingException' }
          : undefined;
      const output = await open({
        log_group_name: '/new',
        auto_create_group: 'on',
        log_retention_days: '30',
      });
      const slices = [sliceOf('app', [event('{}')])];
      await expect(output.deliver(slices, noAbort())).rejects.toThrow(/PutRetentionPolicy/);
      expect(await output.deliver(slices, noAbort())).toEqual({});
      expect(standIn.settings.get('/new')?.retentionInDays).toBe(30);
    });

    it('takes another agent’s group and stream for its own', async () => {
      standIn.refuse = (action, input) => {
        if (action === 'CreateLogGroup')
          standIn.groups.set(String(input['logGroupName']), new Map([[STREAM, []]]));
        return undefined;
      };
      const written = { log_group_name: '/new', auto_create_group: 'on', log_retention_days: '30' };
      expect(await delivered(written, [sliceOf('app', [event('{}')])])).toEqual({});
      expect(standIn.count('PutRetentionPolicy')).toBe(0);
      expect(messages('/new')).toEqual(['{}']);
    });

    it('says what to do about a group that is not there', async () => {
      await expect(delivered({ log_group_name: '/none' }, [sliceOf('app', [event('{}')])])).rejects.toThrow(
        /^http:\/\/127\.0\.0\.1:\d+: the log group "\/none" is not there: create it, or set auto_create_group$/,
      );
    });

    it('makes again what was deleted in the middle', async () => {
      const output = await open({ auto_create_group: 'on' });
      await output.deliver([sliceOf('app', [event('{"n":1}')])], noAbort());
      standIn.groups.delete(GROUP);
      expect(await output.deliver([sliceOf('app', [event('{"n":2}')])], noAbort())).toEqual({});
      expect(messages()).toEqual(['{"n":2}']);
    });

    it('names them by fields and tags, confined, and falls back to the fixed names', async () => {
      const written = {
        log_group_template: "/k8s/$kubernetes['namespace']",
        log_stream_template: '$TAG.$pod',
        auto_create_group: 'on',
      };
      const slice = sliceOf('kube.a', [
        event('{"kubernetes":{"namespace":"shop"},"pod":"p1"}'),
        event('{"kubernetes":{"namespace":"../../aws/lambda"},"pod":"a:b*c"}'),
        event('{"kubernetes":{},"pod":"p2"}'),
        event(`{"kubernetes":{"namespace":"shop"},"pod":"${'x'.repeat(600)}"}`),
        event('{}'),
      ]);
      expect(await delivered(written, [slice])).toEqual({});
      const found = [...standIn.groups].flatMap(([group, streams]) =>
        [...streams.keys()].map((stream) => [group, stream]),
      );
      expect(found).toHaveLength(5);
      expect(found).toEqual(
        expect.arrayContaining([
          ['/k8s/shop', 'kube.a.p1'],
          ['/k8s/.._.._aws_lambda', 'kube.a.a_b_c'],
          [GROUP, 'kube.a.p2'],
          ['/k8s/shop', expect.stringMatching(/^kube\.a\.x+-[0-9a-f]{16}$/)],
          [GROUP, STREAM],
        ]),
      );
      expect(context.log.lines.some(({ message }) => message.includes('have no field'))).toBe(true);
    });

    it('uses prefix and tag', async () => {
      const output = await createOutput(
        cloudwatchLogs,
        {
          region: 'eu-central-1',
          endpoint: '127.0.0.1',
          port: String(standIn.port),
          tls: 'off',
          log_group_name: GROUP,
          log_stream_prefix: 'host-',
          'net.proxy_env_ignore': 'on',
        },
        context,
      );
      outputs.push(output);
      await output.deliver(
        [sliceOf('a.b', [event('{"n":1}')]), sliceOf('c:d', [event('{"n":2}')])],
        noAbort(),
      );
      expect([messages(GROUP, 'host-a.b'), messages(GROUP, 'host-c_d')]).toEqual([['{"n":1}'], ['{"n":2}']]);
    });

    it('bounds how many streams records can make', async () => {
      const slice = sliceOf(
        'app',
        Array.from({ length: 10 }, (_, n) => event(`{"id":"${n}"}`)),
      );
      expect(await delivered({ log_stream_template: 's.$id', max_streams: '3' }, [slice])).toEqual({});
      expect([...(standIn.groups.get(GROUP)?.keys() ?? [])].toSorted()).toEqual([
        STREAM,
        's.0',
        's.1',
        's.2',
      ]);
      expect(messages()).toHaveLength(7);
      expect(
        context.metrics
          .counter('tailrace_cloudwatch_logs_fallback_records_total', '')
          .sum({ reason: 'too_many_streams' }),
      ).toBe(7);
    });
  });

  describe('outcomes', () => {
    const bad = (action: string, input: Record<string, unknown>): boolean =>
      action === 'PutLogEvents' && JSON.stringify(input['logEvents']).includes('bad');

    it('events out of time are rejected, each by its own index', async () => {
      const slice = sliceOf('app', [
        event('{"n":0}'),
        event('{"n":1}', NOW - 20 * DAY),
        event('{"n":2}', NOW + 4 * 3600),
        event('{"n":3}', NOW - 20 * DAY + 1),
        event('{"n":4}', NOW + 1),
      ]);
      const { rejected } = await delivered({}, [slice]);
      expect(rejected?.toSorted((a, b) => a.index - b.index)).toEqual([
        { index: 1, reason: expect.stringContaining('too old') },
        { index: 2, reason: expect.stringContaining('too new') },
        { index: 3, reason: expect.stringContaining('too old') },
      ]);
      expect(messages()).toEqual(['{"n":0}', '{"n":4}']);
    });

    it('a record is rejected when one of its parts is', async () => {
      const record = JSON.stringify({ text: 'x'.repeat(5000) });
      const slice = sliceOf('app', [event(record, NOW - 20 * DAY), event('{"n":1}')]);
      expect((await delivered({ max_event_size: '2k' }, [slice])).rejected).toMatchObject([{ index: 0 }]);
    });

    it('throttling: all again, when the service says', async () => {
      standIn.refuse = () => ({ status: 400, code: 'ThrottlingException', headers: { 'retry-after': '3' } });
      await expect(delivered({}, [sliceOf('app', [event('{}')])])).rejects.toMatchObject({
        name: 'AwsFault',
        retryAfterMs: 3000,
      });
      expect(standIn.actions).toHaveLength(1);
    });

    it('sends no record again that was delivered', async () => {
      standIn.groups.set(GROUP, new Map([[STREAM, []]]));
      standIn.refuse = (_action, _input, nth) =>
        nth === 1 ? { status: 503, code: 'ServiceUnavailable' } : undefined;
      const slice = sliceOf('app', [
        event('{"n":0}', NOW - 4 * DAY),
        event('{"n":2}'),
        event('{"n":1}', NOW - 2 * DAY),
      ]);
      expect(await delivered({}, [slice])).toMatchObject({
        retry: expect.arrayContaining([1, 2]),
        rejected: [],
        reason: expect.stringContaining('503 ServiceUnavailable'),
      });
      expect(messages()).toEqual(['{"n":0}']);
      expect(standIn.actions).toHaveLength(2);
    });

    it('a group that is missing holds up only its own records', async () => {
      const slice = sliceOf('app', [event('{"g":"none"}'), event('{"n":1}'), event('{"g":"none"}')]);
      const written = { log_group_template: '/group/$g' };
      expect(await delivered(written, [slice])).toMatchObject({
        retry: [0, 2],
        rejected: [],
        reason: expect.stringContaining('"/group/none" is not there'),
      });
      expect(messages()).toEqual(['{"n":1}']);
      // Alone they do not make the destination a broken one either.
      expect(await outputs[0]?.deliver([sliceOf('app', [event('{"g":"none"}')])], noAbort())).toMatchObject({
        retry: [0],
      });
      expect(context.log.lines.filter(({ message }) => message.startsWith('Some records'))).toHaveLength(1);
    });

    it('a stream that is not there yet although it was just made holds up only its own records', async () => {
      standIn.refuse = (action, input) =>
        action === 'PutLogEvents' && input['logStreamName'] === 'slow'
          ? { status: 400, code: 'ResourceNotFoundException' }
          : undefined;
      const slice = sliceOf('app', [event('{"s":"slow"}'), event('{"s":"quick"}')]);
      expect(await delivered({ log_stream_template: '$s' }, [slice])).toMatchObject({
        retry: [0],
        rejected: [],
      });
      expect(messages(GROUP, 'quick')).toHaveLength(1);
      expect(standIn.count('PutLogEvents')).toBe(4);
    });

    it('what is refused as a whole is for the queue to halve', async () => {
      standIn.refuse = (action, input) =>
        bad(action, input) ? { status: 400, code: 'InvalidParameterException' } : undefined;
      await expect(
        delivered({}, [sliceOf('app', [event('{"n":1}'), event('{"n":"bad"}')])]),
      ).rejects.toMatchObject({ name: 'AwsRefusal', status: 400 });
    });

    it('what is refused beside what was taken is halved down to its record', async () => {
      standIn.refuse = (action, input) =>
        bad(action, input) ? { status: 400, code: 'InvalidParameterException' } : undefined;
      const slice = sliceOf('app', [
        event('{"s":"a","n":1}'),
        ...[1, 2, 3].map((n) => event(`{"s":"b","n":${n}}`)),
        event('{"s":"b","n":"bad"}'),
        event('{"s":"b","n":5}'),
      ]);
      expect(await delivered({ log_stream_template: '$s' }, [slice])).toEqual({
        retry: [],
        rejected: [{ index: 4, status: 400, reason: expect.stringContaining('InvalidParameterException') }],
      });
      expect(messages(GROUP, 'b').map((text) => (JSON.parse(text) as { n: number }).n)).toEqual([1, 2, 3, 5]);
      expect(messages(GROUP, 'a')).toHaveLength(1);
    });
  });

  it('says nothing of its credentials', async () => {
    standIn.refuse = () => ({
      status: 403,
      code: 'SignatureDoesNotMatch',
      message: `No: ${KEYS.AWS_SECRET_ACCESS_KEY} ${KEYS.AWS_SESSION_TOKEN}`,
    });
    const error = await delivered({}, [sliceOf('app', [event('{}')])]).catch((thrown: unknown) => thrown);
    expect(String(error)).toContain('check the credentials');
    expect(`${String(error)} ${JSON.stringify(context.log.lines)}`).not.toContain('canary');
  });

  describe('check', () => {
    const problems = (written: Record<string, string>): string[] =>
      problemsOf(cloudwatchLogs, { log_group_name: GROUP, ...written });

    it.each([
      [{}, /^log_stream_name is missing/],
      [{ log_stream_name: 'a', log_stream_prefix: 'b' }, /^log_stream_prefix and log_stream_name exclude/],
      [{ log_stream_name: 'a', log_group_name: 'a b' }, /^log_group_name is not the name/],
      [{ log_stream_name: 'a:b' }, /^log_stream_name is not the name/],
      [{ log_stream_name: 'a', log_group_template: '/x/$a-b.$c' }, undefined],
      [{ log_stream_name: 'a', log_group_template: "/x/$a['b" }, /^log_group_template cannot be read/],
      [{ log_stream_name: 'a', log_group_template: '$a' }, /^log_group_template begins with a variable/],
      [
        { log_stream_name: 'a', log_retention_days: '31', auto_create_group: 'on' },
        /^log_retention_days is none/,
      ],
      [{ log_stream_name: 'a', log_retention_days: '30' }, /^log_retention_days has no effect/],
      [{ log_stream_name: 'a', log_group_class: 'STANDARD' }, /^log_group_class has no effect/],
      [{ log_stream_name: 'a', max_event_size: '2M' }, /^max_event_size must be between/],
      [{ log_stream_name: 'a', add_entity: 'on' }, /^add_entity is not there yet/],
      [{ log_stream_name: 'a', region: 'EU Central' }, /^region is not a region/],
      [{ log_stream_name: 'a', role_arn: 'logs' }, /^role_arn is not the ARN/],
      [{ log_stream_name: 'a', external_id: 'x' }, /^external_id has no effect/],
      [{ log_stream_name: 'a', endpoint: 'http://u:p@host' }, /^endpoint is not an endpoint/],
      [{ log_stream_name: 'a', tls: 'off' }, /^tls is off without an endpoint/],
      [{ log_stream_name: 'a', log_format: 'a\nb' }, /^log_format cannot be sent/],
    ])('%j', (written, problem) => {
      if (problem === undefined) expect(problems(written)).toEqual([]);
      else expect(problems(written)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
    });
  });

  it('keeps order where there is one stream, and else by tag', () => {
    const traits = (written: Record<string, string>) =>
      cloudwatchLogs.traits?.({ ...written } as unknown as Parameters<
        NonNullable<typeof cloudwatchLogs.traits>
      >[0]);
    expect(traits({ log_stream_name: 'a' })).toMatchObject({ order: 'all', workers: 1 });
    expect(traits({ log_stream_prefix: 'a' })).toMatchObject({ order: 'tag' });
  });
});
