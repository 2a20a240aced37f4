/**
 * A bucket: puts objects into it, in one request or in parts, and takes away what an attempt that was cut short has left there.
 *
 * The parts are made by @aws-sdk/lib-storage; every request of it goes through {@link Aws.call}, so that it is given up with the attempt and
 * its errors are ours.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type * as S3 from '@aws-sdk/client-s3';
import type * as Storage from '@aws-sdk/lib-storage';
import { RetryableError } from '../../../src/plugin.ts';
import type { Logger } from '../../../src/plugin.ts';
import { AwsFault, AwsRefusal } from '../../shared/aws/index.ts';
import type { Aws } from '../../shared/aws/index.ts';

/** What an upload that was given up gets to be taken back. Milliseconds. */
const ABORT_MS = 3000;
/** How S3 and its kin say that uploads cannot be listed, or not by us. */
const UNLISTED = new Set(['AccessDenied', 'MethodNotAllowed', 'NotImplemented', 'InvalidRequest']);

export interface StoreOptions {
  bucket: string;
  /** Bytes of a part; an object that is smaller is put in one request. */
  partBytes: number;
  /** Requests carry an MD5 instead of a CRC-32. */
  md5: boolean;
  pathStyle: boolean;
  /** Parameters of every object: ACL, storage class, encryption. */
  params: Omit<S3.PutObjectCommandInput, 'Bucket' | 'Key' | 'Body'>;
}

type Sdk = typeof S3 & { Upload: typeof Storage.Upload };

export class ObjectStore {
  private readonly aws: Aws;
  private readonly options: StoreOptions;
  private readonly log: Logger;
  private readonly sdk: Sdk;
  private readonly client: S3.S3Client;
  private saidUnlisted = false;

  private constructor(sdk: Sdk, aws: Aws, options: StoreOptions, log: Logger) {
    this.sdk = sdk;
    this.aws = aws;
    this.options = options;
    this.log = log;
    this.client = new sdk.S3Client({
      ...aws.clientConfig,
      forcePathStyle: options.pathStyle,
      requestChecksumCalculation: options.md5 ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED',
    });
  }

  /** Loads the SDK. Connects to nothing. */
  static async open(aws: Aws, options: StoreOptions, log: Logger): Promise<ObjectStore> {
    const [client, { Upload }] = await Promise.all([
      import('@aws-sdk/client-s3'),
      import('@aws-sdk/lib-storage'),
    ]);
    return new ObjectStore({ ...client, Upload }, aws, options, log);
  }

  /** Puts an object, or replaces the one of that name. Throws RetryableError, and the signal's reason when that is aborted. */
  async put(
    key: string,
    body: Readable,
    more: Partial<S3.PutObjectCommandInput>,
    signal: AbortSignal,
  ): Promise<void> {
    const { bucket, partBytes, params } = this.options;
    const abortController = new AbortController();
    const onAbort = (): void => abortController.abort(signal.reason);
    // Who reads it is told; nobody else needs to be.
    body.on('error', () => undefined);
    if (signal.aborted) {
      body.destroy();
      throw signal.reason;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    const upload = new this.sdk.Upload({
      // The library wants a whole client, and uses these two of it.
      client: {
        config: this.client.config,
        send: (command: Command) => this.send(command, signal),
      } as unknown as S3.S3Client,
      params: { ...params, ...more, Bucket: bucket, Key: key, Body: body },
      partSize: partBytes,
      queueSize: 1,
      abortController,
    });
    try {
      await upload.done();
    } catch (error) {
      // It may still be waiting for more to send.
      body.destroy();
      throw signal.aborted ? signal.reason : asFault(error);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Takes back the uploads in parts that were begun for this object and never completed. */
  async sweep(key: string, signal: AbortSignal): Promise<void> {
    const { ListMultipartUploadsCommand, AbortMultipartUploadCommand } = this.sdk;
    const { bucket: Bucket } = this.options;
    try {
      let marker: Pick<S3.ListMultipartUploadsCommandInput, 'KeyMarker' | 'UploadIdMarker'> = {};
      for (;;) {
        const input = { Bucket, Prefix: key, ...marker };
        const found = await this.aws.call('ListMultipartUploads', signal, (options) =>
          this.client.send(new ListMultipartUploadsCommand(input), options),
        );
        for (const { Key, UploadId } of found.Uploads ?? []) {
          // Others begin with the same characters.
          if (Key !== key || UploadId === undefined) continue;
          await this.aws.call('AbortMultipartUpload', signal, (options) =>
            this.client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }), options),
          );
        }
        if (found.IsTruncated !== true || found.NextKeyMarker === undefined) return;
        marker = {
          KeyMarker: found.NextKeyMarker,
          ...(found.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: found.NextUploadIdMarker }),
        };
      }
    } catch (error) {
      const code = error instanceof AwsFault || error instanceof AwsRefusal ? error.code : undefined;
      if (code === undefined || !UNLISTED.has(code)) throw asFault(error);
      if (!this.saidUnlisted) {
        this.log.warn(
          { error },
          'Unfinished uploads cannot be listed: their parts stay; allow s3:ListBucketMultipartUploads, or let a lifecycle rule of the bucket take them away',
        );
      }
      this.saidUnlisted = true;
    }
  }

  private send(command: Command, signal: AbortSignal): Promise<unknown> {
    const { PutObjectCommand, UploadPartCommand, AbortMultipartUploadCommand } = this.sdk;
    const name = command.constructor.name.replace(/Command$/, '');
    if (command instanceof AbortMultipartUploadCommand) return this.takeBack(command);
    if (this.options.md5 && (command instanceof PutObjectCommand || command instanceof UploadPartCommand)) {
      command.input.ContentMD5 = createHash('md5')
        .update(command.input.Body as Uint8Array)
        .digest('base64');
    }
    return this.aws.call(name, signal, (options) =>
      this.client.send(command as S3.PutObjectCommand, options),
    );
  }

  /** The attempt's error is worth more than that of its end. What stays is swept before the next attempt. */
  private async takeBack(command: S3.AbortMultipartUploadCommand): Promise<unknown> {
    try {
      return await this.client.send(command, { abortSignal: AbortSignal.timeout(ABORT_MS) });
    } catch (error) {
      this.log.debug({ error }, 'An upload cannot be taken back yet');
      return {};
    }
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await this.aws.close();
  }
}

/** A command of the SDK, as the library hands it to a client. */
interface Command {
  constructor: { name: string };
  input: unknown;
}

/** An object is never at fault itself: its records are text, and how it is sent is the configuration's. */
function asFault(error: unknown): unknown {
  if (!(error instanceof AwsRefusal)) return error;
  return new RetryableError(`${error.message}; see whether the options of the output fit the bucket`, {
    cause: error,
  });
}
