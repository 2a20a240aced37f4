/** A bucket of a real store, as a user of it sees it: its objects by name, and what they hold. */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { parseExact } from '../../../src/event/json.ts';
import type { LogRecord } from '../../../src/event/record.ts';
import { timeOf } from './records.ts';
import type { Found } from './records.ts';

export class StoreBucket {
  readonly name: string;
  private readonly client: S3Client;

  constructor(client: S3Client, name: string) {
    this.client = client;
    this.name = name;
  }

  async create(): Promise<this> {
    await this.client.send(new CreateBucketCommand({ Bucket: this.name }));
    return this;
  }

  /** Names of all objects. */
  async keys(): Promise<string[]> {
    const keys: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.client.send(
        new ListObjectsV2Command({
          Bucket: this.name,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      );
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key);
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return keys.toSorted();
  }

  /** Names of objects whose upload in parts was never completed. */
  async unfinished(): Promise<string[]> {
    const { Uploads = [] } = await this.client.send(new ListMultipartUploadsCommand({ Bucket: this.name }));
    return Uploads.map(({ Key = '' }) => Key);
  }

  /** An object as it is, without the encoding that it says it has. */
  async bytes(key: string): Promise<Uint8Array> {
    const { Body, ContentEncoding } = await this.client.send(
      new GetObjectCommand({ Bucket: this.name, Key: key }),
    );
    const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array();
    if (ContentEncoding === 'gzip') return gunzipSync(bytes);
    return ContentEncoding === 'zstd' ? zstdDecompressSync(bytes) : bytes;
  }

  /** Hands all records of all objects to the judge; their dates keep microseconds. */
  async judge(found: Found): Promise<void> {
    for (const key of await this.keys()) {
      for (const line of Buffer.from(await this.bytes(key))
        .toString()
        .split('\n')) {
        if (line === '') continue;
        const { date, ...record } = parseExact(line) as LogRecord;
        found.add(record);
        const expected = dateOf(Number(record['n']));
        if (date !== expected) found.wrong.push({ found: date, expected });
      }
    }
  }
}

function dateOf(n: number): string {
  const { seconds, nanos } = timeOf(n);
  const micros = String(Math.floor(nanos / 1000)).padStart(6, '0');
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${micros}Z`;
}
