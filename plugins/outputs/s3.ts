/** The `s3` output: gathers records to objects on the disk buffer and puts them into a bucket of Amazon S3 or of a store like it. */
import { boolean, defineOutput, enumOf, ignored, size, string, time } from '../../src/plugin.ts';
import type { GatheredObject, OptionProblem, Outcome } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import { awsDestinationOptions, checkAwsDestination, openAws } from '../shared/aws/index.ts';
import { findRegion } from '../shared/aws/region.ts';
import { jsonDateKey, jsonDateOptions } from '../shared/json-date-options.ts';
import { contentOf, ObjectBody, settingsOf } from './s3/body.ts';
import type { ContentOptions } from './s3/body.ts';
import { compileKeyFormat, keyFormatProblem } from './s3/key-format.ts';
import { ObjectStore } from './s3/store.ts';

const MIN_PART = 5 * 1024 * 1024;
/** Added to a record by its time, bytes. */
const MOST_ADDED = 256;
const MAX_PARTS = 10_000;
/** A body in one request has no more. */
const MAX_PUT = 5_000_000_000;
/** An object that is put in one request lies in memory: larger ones are worth a word. */
const LARGE_PUT = 50_000_000;

/** A row group, decoded and as columns. */
const PARQUET_MEMORY = 40_000_000;

const BLOBS = 'it belongs to blob records, which no input makes';
const STAGED =
  'records are staged on the disk buffer: storage.path says where, storage.total_limit_size how much';

export default defineOutput({
  name: 's3',
  summary: 'Puts records as objects into a bucket of Amazon S3 or of a store like it',
  options: {
    ...awsDestinationOptions,
    bucket: string().describe('Name of the bucket.'),
    region: string()
      .optional()
      .describe(
        'AWS region of the bucket. Default: AWS_REGION or AWS_DEFAULT_REGION of the environment, then that of the profile, then us-east-1.',
      ),
    force_path_style: boolean()
      .optional()
      .describe(
        'Puts the bucket into the path instead of the host name, as MinIO and others want it. Default: on with an endpoint.',
      ),
    total_file_size: size()
      .default('100000000')
      .describe('Bytes of records, before compression, after which an object is closed and sent.'),
    upload_timeout: time()
      .default('10m')
      .describe('Age of its oldest record at which an object is closed and sent.'),
    upload_chunk_size: size()
      .default('5242880')
      .describe(
        'Bytes of a part. An object that is no larger is put in one request; an upload takes about twice as much memory, beside memory_limit.',
      ),
    use_put_object: boolean()
      .default(false)
      .describe(
        'Puts every object in one request, from memory (twice total_file_size, beside memory_limit): for stores that take no uploads in parts.',
      ),
    s3_key_format: string()
      .default('/fluent-bit-logs/$TAG/%Y/%m/%d/%H/%M/%S')
      .describe(
        'Names of objects: `$TAG`, `$TAG[1]`, `$UUID`, `$INDEX`, and strftime (UTC) of the first record. Where there is neither `$UUID` nor `$INDEX`, `-object` and eight letters and digits are added, in front of an extension: two objects must not get one name. Without a tag in it, records of all tags share objects.',
      ),
    s3_key_format_tag_delimiters: string()
      .default('.')
      .describe('Characters that divide the parts of a tag.'),
    static_file_path: boolean()
      .default(false)
      .describe(
        'Adds nothing to names: objects of one tag that begin in the same second replace each other.',
      ),
    format: enumOf('json_lines', 'plain')
      .optional()
      .describe(
        '`json_lines`: a JSON object per line; `plain`: the text under log_key alone. Default: plain with log_key, else json_lines.',
      ),
    log_key: string()
      .optional()
      .describe(
        'Key, or record accessor, whose value alone is written. A record without it becomes a dead letter.',
      ),
    ...jsonDateOptions,
    json_date_format: jsonDateOptions.json_date_format.default('iso8601'),
    compression: enumOf('none', 'gzip', 'zstd', 'parquet')
      .default('none')
      .describe(
        'Compresses objects. `parquet` makes Apache Parquet of them, compressed with snappy: a column for each top-level key.',
      ),
    content_type: string().optional().describe('Content type of objects.'),
    canned_acl: enumOf(
      'private',
      'public-read',
      'public-read-write',
      'authenticated-read',
      'aws-exec-read',
      'bucket-owner-read',
      'bucket-owner-full-control',
    )
      .optional()
      .describe('Predefined access list of objects.'),
    storage_class: enumOf(
      'STANDARD',
      'STANDARD_IA',
      'ONEZONE_IA',
      'INTELLIGENT_TIERING',
      'GLACIER_IR',
      'GLACIER',
      'DEEP_ARCHIVE',
      'REDUCED_REDUNDANCY',
      'EXPRESS_ONEZONE',
      'OUTPOSTS',
      'SNOW',
    )
      .optional()
      .describe('Storage class of objects. Default: that of the bucket.'),
    sse: enumOf('AES256', 'aws:kms', 'aws:kms:dsse')
      .optional()
      .describe('Server-side encryption of objects.'),
    sse_kms_key_id: string().optional().describe('Key of the encryption with KMS. Default: the account’s.'),
    send_content_md5: boolean()
      .default(false)
      .describe('Sends an MD5 with every request instead of a CRC-32, for stores that know only that.'),
    preserve_data_ordering: boolean()
      .default(true)
      .describe('Sends the objects of a tag one after the other; off: in parallel.'),
    host: ignored('endpoint says where the store is'),
    port: ignored('endpoint says where the store is'),
    store_dir: ignored(STAGED),
    store_dir_limit_size: ignored(STAGED),
    quarantine_dir_limit_size: ignored('records that are given up go to the dead letters'),
    retry_exhausted_action: ignored('records that are given up go to the dead letters, or to on_failure'),
    blob_database_file: ignored(BLOBS),
    part_size: ignored(BLOBS),
    file_delivery_attempt_limit: ignored(BLOBS),
    part_delivery_attempt_limit: ignored(BLOBS),
    upload_parts_timeout: ignored(BLOBS),
    upload_part_freshness_limit: ignored(BLOBS),
    authorization_endpoint_url: ignored(BLOBS),
    authorization_endpoint_username: ignored(BLOBS),
    authorization_endpoint_password: ignored(BLOBS),
    authorization_endpoint_bearer_token: ignored(BLOBS),
  },
  traits: (options) => ({
    order: options.preserve_data_ordering ? 'tag' : 'none',
    gather: {
      bytes: options.total_file_size,
      seconds: options.upload_timeout,
      by: compileKeyFormat(keyOptions(options)).hasTag ? 'tag' : 'all',
      // What was put together, and the copy that is sent.
      memory:
        2 * (options.use_put_object ? options.total_file_size : options.upload_chunk_size) +
        (options.compression === 'parquet' ? PARQUET_MEMORY : 0),
    },
  }),
  target: ['bucket', 'endpoint', 'region', 's3_key_format'],
  example: `pipeline:
  outputs:
    - name: s3
      match: 'app.*'
      bucket: my-logs
      region: eu-central-1
      s3_key_format: /logs/$TAG[1]/%Y/%m/%d/%H%M%S-$UUID.json.gz
      compression: gzip
      total_file_size: 50M
      upload_timeout: 5m
      storage_class: STANDARD_IA
      sse: AES256
`,
  check(options) {
    const problems: OptionProblem[] = [...checkAwsDestination(options)];
    const wrong = (key: string, message: string): void => void problems.push({ key, message });
    if (!/^[a-z0-9][a-z0-9._-]{1,253}[a-z0-9]$|^arn:/i.test(options.bucket))
      wrong('bucket', 'is not the name of a bucket: write the name alone, the path as s3_key_format');
    const keyProblem = keyFormatProblem(options.s3_key_format);
    if (keyProblem !== undefined) wrong('s3_key_format', keyProblem);
    else if (!compileKeyFormat(keyOptions(options)).isUnique) {
      problems.push({
        key: 'static_file_path',
        message:
          'is on, and s3_key_format has neither $UUID nor $INDEX: an object replaces another one that begins in the same second',
        level: 'warning',
      });
    }
    if (options.upload_chunk_size < MIN_PART)
      wrong('upload_chunk_size', `is less than a part may have: write ${MIN_PART} or more`);
    if (options.total_file_size < 1) wrong('total_file_size', 'is too small: write 1M or more');
    if (options.upload_timeout <= 0) wrong('upload_timeout', 'is too short: write 1s or more');
    if (options.use_put_object) {
      if (options.total_file_size > MAX_PUT)
        wrong('total_file_size', 'is more than one request may have: write less, or use_put_object: off');
      else if (options.total_file_size > LARGE_PUT) {
        problems.push({
          key: 'use_put_object',
          message: 'is on: every object lies in memory while it is sent; write a smaller total_file_size',
          level: 'warning',
        });
      }
    } else if (options.total_file_size > options.upload_chunk_size * MAX_PARTS) {
      wrong('upload_chunk_size', `is too small: an object has at most ${MAX_PARTS} parts`);
    }
    if (options.log_key?.startsWith('$') === true)
      problems.push(...accessorProblems('log_key', options.log_key));
    if (options.format === 'json_lines' && options.log_key !== undefined)
      wrong('log_key', 'has no meaning with format json_lines: leave one of the two out');
    if (options.compression === 'parquet' && (options.log_key !== undefined || options.format === 'plain'))
      wrong(
        'compression',
        'is parquet, which has a column for each key: leave log_key and format: plain out',
      );
    if (options.sse_kms_key_id !== undefined && options.sse?.startsWith('aws:kms') !== true)
      wrong('sse_kms_key_id', 'needs sse: aws:kms');
    return problems;
  },
  async create(options, context) {
    const region = await findRegion(options.region, options.profile, process.env).catch(() => 'us-east-1');
    const aws = await openAws({ ...options, region }, context, 's3');
    const content: ContentOptions = {
      format: options.format ?? (options.log_key === undefined ? 'json_lines' : 'plain'),
      compression: options.compression,
      dateKey: jsonDateKey(options.json_date_key),
      dateFormat: options.json_date_format,
      logKey: options.log_key ?? 'log',
    };
    const store = await ObjectStore.open(
      aws,
      {
        bucket: options.bucket,
        partBytes: options.use_put_object ? MAX_PUT : options.upload_chunk_size,
        md5: options.send_content_md5,
        pathStyle: options.force_path_style ?? options.endpoint !== undefined,
        params: {
          ...(options.canned_acl === undefined ? {} : { ACL: options.canned_acl }),
          ...(options.storage_class === undefined ? {} : { StorageClass: options.storage_class }),
          ...(options.content_type === undefined ? {} : { ContentType: options.content_type }),
          ...(options.sse === undefined ? {} : { ServerSideEncryption: options.sse }),
          ...(options.sse_kms_key_id === undefined ? {} : { SSEKMSKeyId: options.sse_kms_key_id }),
        },
      },
      context.log,
    );
    const key = compileKeyFormat(keyOptions(options));
    return {
      plan: (facts) => ({ key: key.render(facts), settings: settingsOf(content) }),
      async upload(object: GatheredObject, signal: AbortSignal): Promise<Outcome> {
        signal.throwIfAborted();
        const { plan, retried } = object;
        if (retried && !options.use_put_object && mayHaveParts(object)) await store.sweep(plan.key, signal);
        const body = new ObjectBody(() => object.slices(), contentOf(plan.settings, content));
        const stream = await body.open();
        const { compression } = body.options;
        if (stream !== undefined) {
          const encoding = compression === 'none' || compression === 'parquet' ? undefined : compression;
          await store.put(
            plan.key,
            stream,
            encoding === undefined ? {} : { ContentEncoding: encoding },
            signal,
          );
        }
        return body.rejected.length === 0 ? {} : { rejected: body.rejected };
      },
      close: () => store.close(),
    };
  },
});

/** Whether an earlier attempt can have begun an upload in parts, whatever the size of a part was. */
function mayHaveParts({ bytes, records }: GatheredObject): boolean {
  return bytes + records * MOST_ADDED > MIN_PART;
}

function keyOptions(options: {
  s3_key_format: string;
  s3_key_format_tag_delimiters: string;
  static_file_path: boolean;
}): Parameters<typeof compileKeyFormat>[0] {
  return {
    format: options.s3_key_format,
    tagDelimiters: options.s3_key_format_tag_delimiters,
    asWritten: options.static_file_path,
  };
}
