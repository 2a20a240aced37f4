import { createHash, randomBytes } from 'node:crypto';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import s3 from '../../../plugins/outputs/s3.ts';
import type { GatheredObject, ObjectOutput, ObjectPlan, Outcome, Slice } from '../../../src/plugin.ts';
import { RetryableError } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import {
  contextIn,
  createObjectOutput,
  noAbort,
  parseExact,
  problemsOf,
  sliceOf,
} from '../../contract/support.ts';
import { tlsFile } from '../../net/servers.ts';
import { CANARY_SECRET, KEYS, stubAws } from '../shared/aws/support.ts';
import { Bucket, fail } from './s3/bucket.ts';

/** The options of an output that speaks to a bucket on this machine. */
function local(bucket: Bucket, more: Record<string, string> = {}): Record<string, string> {
  return {
    bucket: bucket.name,
    endpoint: `http://127.0.0.1:${bucket.port}`,
    region: 'eu-central-1',
    'net.proxy_env_ignore': 'on',
    s3_key_format: '/$TAG/$UUID',
    ...more,
  };
}

let ids = 0;

/** An object of these slices, as a queue hands it over for the first time. */
function objectOf(
  output: ObjectOutput,
  slices: readonly Slice[],
  more: Partial<GatheredObject> = {},
): GatheredObject {
  const [first] = slices;
  const plan = output.plan({
    tag: first?.tag ?? '',
    sequence: ++ids,
    id: String(ids).padStart(8, '0'),
    seconds: first?.seconds(0) ?? 0,
    nanos: first?.nanos(0) ?? 0,
  });
  return {
    plan,
    retried: false,
    records: slices.reduce((sum, { length }) => sum + length, 0),
    bytes: slices.reduce((sum, { bytes }) => sum + bytes.length, 0),
    async *slices() {
      yield* slices;
    },
    ...more,
  };
}

const linesOf = (body: Buffer): unknown[] =>
  body
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line) => parseExact(line));

beforeEach(() => stubAws(KEYS));
afterEach(() => vi.unstubAllEnvs());

describeOutput('s3', async () => {
  stubAws(KEYS);
  const bucket = await new Bucket().open();
  const output = await createObjectOutput(s3, local(bucket, { json_date_key: 'false' }), contextIn('/'));
  return {
    output: {
      deliver: (slices, signal) => output.upload(objectOf(output, slices), signal),
      close: () => output.close?.(),
    },
    arrived: () => [...bucket.objects.values()].flatMap(({ body }) => linesOf(body)),
    cleanUp: () => bucket.close(),
  };
});

const arrayBuffer = ({ buffer, byteOffset, length }: Buffer): ArrayBuffer =>
  buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer;

const parquetRows = (body: Buffer): Promise<Record<string, unknown>[]> =>
  parquetReadObjects({ file: arrayBuffer(body) });

/** A row of the test's file: null where the record has nothing. */
function row(values: Record<string, unknown>, fraction = '.500Z'): Record<string, unknown> {
  const columns = ['n', 'wide', 'half', 'flag', 'text', 'mixed', 'nested', 'huge', 'nothing', 'a.b'];
  const cells = columns.map((name): [string, unknown] => [
    name,
    Object.hasOwn(values, name) ? values[name] : null,
  ]);
  return Object.fromEntries([['date', new Date(`2023-11-14T22:13:20${fraction}`)], ...cells]);
}

describe('s3', () => {
  let bucket: Bucket;
  let outputs: ObjectOutput[];

  beforeEach(async () => {
    bucket = await new Bucket().open();
    outputs = [];
  });

  afterEach(async () => {
    for (const output of outputs) await output.close?.();
    await bucket.close();
  });

  const start = async (more: Record<string, string> = {}) => {
    const context = contextIn('/');
    const output = await createObjectOutput(s3, local(bucket, more), context);
    outputs.push(output);
    return {
      output,
      context,
      upload: (slices: Slice[], about: Partial<GatheredObject> = {}, signal = noAbort()): Promise<Outcome> =>
        output.upload(objectOf(output, slices, about), signal),
    };
  };
  const only = (): { key: string; body: Buffer; headers: Record<string, unknown> } => {
    expect([...bucket.objects.keys()]).toHaveLength(1);
    const [[key, stored] = ['', { body: Buffer.alloc(0), headers: {} }]] = bucket.objects;
    return { key, ...stored };
  };
  const two = (): Slice[] => [
    sliceOf('app', ['{"a":1}']),
    sliceOf('app', [{ record: '{"b":"ü"}', nanos: 123_456_789 }]),
  ];
  /** About 12 MB that no compression makes smaller. */
  const large = (): Slice[] =>
    Array.from({ length: 12 }, (_, n) =>
      sliceOf('app', [{ record: { n, noise: randomBytes(750_000).toString('base64') } }]),
    );

  describe('what an object is', () => {
    it('json_lines with the date, in one request', async () => {
      const { upload } = await start({ content_type: 'application/x-ndjson' });
      expect(await upload(two())).toEqual({});
      const { key, body, headers } = only();
      expect(key).toMatch(/^app\/\d{8}$/);
      expect(body.toString()).toBe(
        '{"date":"2023-11-14T22:13:20.500000Z","a":1}\n{"date":"2023-11-14T22:13:20.123456Z","b":"ü"}\n',
      );
      expect(headers).toMatchObject({ 'content-type': 'application/x-ndjson' });
      expect(headers['content-encoding']).toBeUndefined();
      expect(bucket.requests.map(({ method }) => method)).toEqual(['PUT']);
      expect(String(headers['user-agent'])).toContain('Tailrace/1.2.3');
    });

    it.each([
      ['gzip', gunzipSync],
      ['zstd', zstdDecompressSync],
    ] as const)('%s, the same bytes each time', async (compression, decompress) => {
      const { output, upload } = await start({ compression, json_date_key: 'false' });
      await upload(two());
      const { body, headers } = only();
      expect(headers['content-encoding']).toBe(compression);
      expect(linesOf(decompress(body))).toEqual([{ a: 1 }, { b: 'ü' }]);
      const object = objectOf(output, large());
      await output.upload(object, noAbort());
      const first = bucket.objects.get(object.plan.key)?.body;
      bucket.objects.clear();
      await output.upload({ ...object, retried: true }, noAbort());
      expect(bucket.objects.get(object.plan.key)?.body.equals(first ?? Buffer.alloc(0))).toBe(true);
    });

    it('plain: the text of log_key, other values as JSON; a record without it is rejected', async () => {
      const { upload } = await start({ log_key: 'log' });
      const slice = sliceOf('app', ['{"log":"one"}', '{"other":1}', '{"log":{"deep":12345678901234567890}}']);
      expect(await upload([...two(), slice])).toEqual({
        rejected: [0, 1, 3].map((index) => ({ index, reason: 'The record has no log (log_key).' })),
      });
      expect(only().body.toString()).toBe('one\n{"deep":12345678901234567890}\n');
    });

    it('log_key may be a record accessor; an object without a line is not put', async () => {
      const { upload } = await start({ log_key: "$a['b']" });
      expect((await upload(two())).rejected).toHaveLength(2);
      expect(bucket.requests).toEqual([]);
      await upload([sliceOf('app', ['{"a":{"b":"deep"}}'])]);
      expect(only().body.toString()).toBe('deep\n');
    });

    it('parquet: a column for each key, the same bytes each time', async () => {
      const { output } = await start({ compression: 'parquet' });
      const slices = [
        sliceOf('app', [
          {
            record: '{"n":1,"wide":9007199254740993,"half":0.5,"flag":true,"text":"grüße","mixed":1}',
            nanos: 123_456_789,
          },
          '{"n":2,"half":2,"text":"😀","mixed":"a","nested":{"a":[1,null]},"huge":12345678901234567890}',
        ]),
        sliceOf('app', ['{"__proto__":"p","nothing":null,"a.b":"dotted"}', '{}']),
      ];
      const object = objectOf(output, slices);
      await output.upload(object, noAbort());
      const { body, headers } = only();
      expect(headers['content-encoding']).toBeUndefined();
      expect(await parquetRows(body)).toEqual([
        row({ n: 1n, wide: 9007199254740993n, half: 0.5, flag: true, text: 'grüße', mixed: '1' }, '.123Z'),
        row({
          n: 2n,
          half: 2,
          text: '😀',
          mixed: 'a',
          nested: '{"a":[1,null]}',
          huge: '12345678901234567890',
        }),
        row({ 'a.b': 'dotted' }),
        row({}),
      ]);
      // The reader makes no property of that name.
      expect(parquetMetadata(arrayBuffer(body)).schema.map(({ name }) => name)).toContain('__proto__');
      bucket.objects.clear();
      await output.upload({ ...object, retried: true }, noAbort());
      expect(only().body.equals(body)).toBe(true);
    });

    it('parquet: a large object in row groups and parts; keys beyond a thousand share a column', async () => {
      const { upload } = await start({ compression: 'parquet', json_date_format: 'epoch_ms' });
      const many = Object.fromEntries(Array.from({ length: 1100 }, (_, n) => [`key${n}`, n]));
      await upload([...large(), sliceOf('app', [{ record: many }])]);
      const rows = await parquetRows(only().body);
      expect(rows).toHaveLength(13);
      expect(rows.map(({ n }) => n)).toEqual([...Array.from({ length: 12 }, (_, n) => BigInt(n)), null]);
      expect(rows[0]).toMatchObject({ date: 1_700_000_000_500n, key0: null });
      expect(String(rows[0]?.['noise'])).toHaveLength(1_000_000);
      expect(Object.keys(JSON.parse(String(rows[12]?.['_more'])) as object)).toHaveLength(102);
      expect(bucket.requests.filter(({ url }) => url.includes('partNumber')).length).toBeGreaterThan(1);
    });

    it('access list, storage class and encryption', async () => {
      const { upload } = await start({
        canned_acl: 'bucket-owner-full-control',
        storage_class: 'STANDARD_IA',
        sse: 'aws:kms',
        sse_kms_key_id: 'key-1',
      });
      await upload(two());
      expect(only().headers).toMatchObject({
        'x-amz-acl': 'bucket-owner-full-control',
        'x-amz-storage-class': 'STANDARD_IA',
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
      });
    });

    it('send_content_md5: an MD5 and no CRC-32', async () => {
      const { upload } = await start({ send_content_md5: 'on' });
      await upload(two());
      const { body, headers } = only();
      expect(headers['content-md5']).toBe(createHash('md5').update(body).digest('base64'));
      expect(Object.keys(headers).filter((name) => name.includes('checksum'))).toEqual([]);
    });

    it('the plan decides, not what is configured meanwhile', async () => {
      const { output } = await start({ compression: 'gzip', log_key: 'a' });
      const plan: ObjectPlan = {
        key: 'old/name',
        settings: { format: 'json_lines', compression: 'none', date_format: 'epoch', date_key: 't' },
      };
      await output.upload(objectOf(output, two(), { plan }), noAbort());
      expect(bucket.objects.get('old/name')?.body.toString()).toBe(
        '{"t":1700000000,"a":1}\n{"t":1700000000,"b":"ü"}\n',
      );
      expect(output.plan({ tag: 'x', sequence: 1, id: 'abcdefgh', seconds: 0, nanos: 0 }).settings).toEqual({
        format: 'plain',
        compression: 'gzip',
        log_key: 'a',
      });
    });
  });

  describe('parts', () => {
    it('a large object goes in parts of upload_chunk_size', async () => {
      const { upload } = await start({ json_date_key: 'false' });
      const slices = large();
      expect(await upload(slices)).toEqual({});
      expect(only().body.equals(Buffer.concat(slices.map(({ bytes }) => bytes)))).toBe(true);
      const parts = bucket.requests.filter(({ method }) => method === 'PUT');
      expect(parts.map(({ body }) => body.length)).toEqual([5_242_880, 5_242_880, expect.any(Number)]);
      expect(bucket.uploads.size).toBe(0);
    });

    it('use_put_object: one request, however large', async () => {
      const { upload } = await start({ use_put_object: 'on' });
      await upload(large(), { retried: true });
      expect(bucket.requests.map(({ method }) => method)).toEqual(['PUT']);
    });

    it('what a failed attempt began is taken back', async () => {
      const { upload } = await start();
      bucket.interfere = ({ url }, response) => {
        if (!url.includes('partNumber=2')) return false;
        fail(response, 503, 'SlowDown');
        return true;
      };
      await expect(upload(large())).rejects.toThrow(/UploadPart was answered with 503 SlowDown/);
      expect(bucket.uploads.size).toBe(0);
      expect(bucket.objects.size).toBe(0);
    });

    it('what an earlier run left of the same object is aborted first, what is of others stays', async () => {
      const { output } = await start();
      const object = objectOf(output, large(), { retried: true });
      bucket.strand(object.plan.key);
      bucket.strand(object.plan.key);
      bucket.strand(`${object.plan.key}-other`);
      await output.upload(object, noAbort());
      expect([...bucket.uploads.values()].map(({ key }) => key)).toEqual([`${object.plan.key}-other`]);
      expect(bucket.objects.has(object.plan.key)).toBe(true);
    });

    it('an object that was never large enough for parts takes no permission to list them', async () => {
      const { upload } = await start();
      await upload(two(), { retried: true });
      expect(bucket.requests.map(({ method }) => method)).toEqual(['PUT']);
    });

    it('a store that does not let uploads be listed is told of once', async () => {
      const { context, upload } = await start();
      bucket.interfere = ({ url }, response) => {
        if (!url.includes('prefix=')) return false;
        fail(response, 403, 'AccessDenied');
        return true;
      };
      await upload(large(), { retried: true });
      await upload(large(), { retried: true });
      expect(bucket.objects.size).toBe(2);
      expect(context.log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual(
        [expect.stringContaining('s3:ListBucketMultipartUploads')],
      );
    });
  });

  describe('failures', () => {
    const failing = async (status: number, code: string): Promise<RetryableError> => {
      const { upload } = await start();
      bucket.interfere = (_request, response) => {
        fail(response, status, code);
        return true;
      };
      const error = await upload(two()).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(RetryableError);
      expect((error as Error).message).not.toContain(CANARY_SECRET);
      return error as RetryableError;
    };

    it.each([
      [404, 'NoSuchBucket', 'there is no such bucket'],
      [403, 'AccessDenied', 'the credentials may not do this'],
      [403, 'SignatureDoesNotMatch', 'the secret key does not belong'],
      [403, 'InvalidAccessKeyId', 'the access key is unknown'],
      [400, 'ExpiredToken', 'have expired'],
      [301, 'PermanentRedirect', 'it is in another region'],
      [503, 'SlowDown', 'said the store'],
      [400, 'EntityTooSmall', 'see whether the options of the output fit the bucket'],
    ])('%i %s is tried again, and says what to do', async (status, code, advice) => {
      const { message } = await failing(status, code);
      expect(message).toContain(
        `http://127.0.0.1:${bucket.port}: PutObject was answered with ${status} ${code}`,
      );
      expect(message).toContain(advice);
      // The queue sends again, not the SDK.
      expect(bucket.requests).toHaveLength(1);
    });

    it('an unknown host and a refused connection are named', async () => {
      const unknown = await start({ endpoint: 'http://store.invalid:9' });
      await expect(unknown.upload(two())).rejects.toThrow(/store\.invalid:9: the host name/);
      const refused = await start({ endpoint: 'http://127.0.0.1:1' });
      await expect(refused.upload(two())).rejects.toThrow(/127\.0\.0\.1:1: the connection was refused/);
    });

    it('an expired certificate is named', async () => {
      const secure = await new Bucket().open({ tls: { certificate: 'expired' } });
      try {
        const { upload } = await start({
          endpoint: `https://127.0.0.1:${secure.port}`,
          'tls.ca_file': tlsFile('expired.pem'),
        });
        const error: unknown = await upload(two()).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error).toBeInstanceOf(RetryableError);
        expect((error as Error).message).toContain('its certificate has expired');
      } finally {
        await secure.close();
      }
    });

    it('gives up at once when it is told to, in the middle of a part too', async () => {
      const { upload } = await start();
      const controller = new AbortController();
      const reason = new Error('The agent stops.');
      bucket.interfere = ({ url }) => {
        if (!url.includes('partNumber=1')) return false;
        controller.abort(reason);
        return true;
      };
      await expect(upload(large(), {}, controller.signal)).rejects.toBe(reason);
      expect(bucket.objects.size).toBe(0);
    });

    it('an object that cannot be read is not put as far as it could', async () => {
      const { output } = await start({ compression: 'gzip' });
      const broken = objectOf(output, two(), {
        async *slices() {
          yield* two();
          throw new RetryableError('the disk is gone');
        },
      });
      await expect(output.upload(broken, noAbort())).rejects.toThrow('the disk is gone');
      expect(bucket.objects.size).toBe(0);
    });
  });

  describe('check', () => {
    const problems = (more: Record<string, string>): string[] =>
      problemsOf(s3, { bucket: 'logs', region: 'eu-central-1', ...more });

    it('takes what Fluent Bit takes', () => {
      expect(problems({})).toEqual([]);
      expect(
        problems({
          total_file_size: '1M',
          upload_timeout: '1m',
          use_put_object: 'on',
          s3_key_format: '/$TAG[2]/$TAG[0]/%Y/%m/%d/%H/%M/%S/$UUID.gz',
          s3_key_format_tag_delimiters: '.-',
          compression: 'gzip',
          store_dir: '/tmp/x',
          auto_retry_requests: 'true',
        }),
      ).toEqual([]);
    });

    it.each([
      [{ bucket: 's3://logs' }, 'bucket is not the name of a bucket'],
      [{ s3_key_format: '/a/../b' }, 's3_key_format has "." or ".."'],
      [{ s3_key_format: '/' }, 's3_key_format is empty'],
      [{ s3_key_format: '/$TAG[x]' }, 's3_key_format has a part of the tag that is none'],
      [{ upload_chunk_size: '1M' }, 'upload_chunk_size is less than a part may have'],
      [{ upload_timeout: '0' }, 'upload_timeout is too short'],
      [{ total_file_size: '100G' }, 'upload_chunk_size is too small'],
      [{ use_put_object: 'on' }, 'use_put_object is on: every object lies in memory'],
      [{ static_file_path: 'on' }, 'static_file_path is on, and s3_key_format has neither'],
      [{ log_key: '$a[' }, 'log_key cannot be read'],
      [{ log_key: 'log', format: 'json_lines' }, 'log_key has no meaning with format json_lines'],
      [{ compression: 'parquet', log_key: 'log' }, 'compression is parquet, which has a column for each key'],
      [{ sse_kms_key_id: 'k', sse: 'AES256' }, 'sse_kms_key_id needs sse: aws:kms'],
    ])('finds %o', (more, problem) => {
      expect(problems(more)).toEqual([expect.stringContaining(problem)]);
    });
  });
});
