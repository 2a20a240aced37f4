/** A bucket for tests that need no store: the requests of S3 that the output makes, over HTTP. The real ones are in test/services. */
import type { ServerResponse } from 'node:http';
import { startServer } from '../../../net/servers.ts';
import type { Received, ServerOptions, TestServer } from '../../../net/servers.ts';

export interface StoredObject {
  body: Buffer;
  headers: Received['headers'];
}

/** Answers a request itself; true when it did. */
export type Interference = (request: Received, response: ServerResponse) => boolean;

export class Bucket {
  readonly name = 'logs';
  readonly objects = new Map<string, StoredObject>();
  /** Uploads in parts that are not completed, by id. */
  readonly uploads = new Map<
    string,
    { key: string; headers: Received['headers']; parts: Map<number, Buffer> }
  >();
  interfere: Interference = () => false;
  private server: TestServer | undefined;
  private nextUpload = 1;

  async open(options?: ServerOptions): Promise<this> {
    this.server = await startServer((request, response) => this.answer(request, response), options);
    return this;
  }

  get port(): number {
    return this.server?.port ?? 0;
  }

  get requests(): readonly Received[] {
    return this.server?.requests ?? [];
  }

  async close(): Promise<void> {
    await this.server?.close();
  }

  /** Begins an upload and leaves it, as a crash does. */
  strand(key: string): void {
    this.uploads.set(`stranded-${this.nextUpload++}`, {
      key,
      headers: {},
      parts: new Map([[1, Buffer.from('x')]]),
    });
  }

  /** Takes an object in without an answer; undefined when the request is none of that kind. */
  put(request: Received): { key: string } | undefined {
    const url = new URL(request.url, 'http://bucket');
    const [, , ...segments] = url.pathname.split('/');
    if (request.method !== 'PUT' || url.searchParams.has('uploadId')) return undefined;
    const key = segments.map(decodeURIComponent).join('/');
    this.objects.set(key, { body: request.body, headers: request.headers });
    return { key };
  }

  private answer(request: Received, response: ServerResponse): void {
    if (this.interfere(request, response)) return;
    const url = new URL(request.url, 'http://bucket');
    const [, bucket, ...segments] = url.pathname.split('/');
    const key = segments.map(decodeURIComponent).join('/');
    const id = url.searchParams.get('uploadId') ?? '';
    const upload = this.uploads.get(id);
    if (bucket !== this.name) {
      fail(response, 404, 'NoSuchBucket');
    } else if (request.method === 'GET' && url.searchParams.has('uploads')) {
      xml(
        response,
        `<ListMultipartUploadsResult>${this.listed(url.searchParams.get('prefix') ?? '')}</ListMultipartUploadsResult>`,
      );
    } else if (request.method === 'POST' && url.searchParams.has('uploads')) {
      const uploadId = `upload-${this.nextUpload++}`;
      this.uploads.set(uploadId, { key, headers: request.headers, parts: new Map() });
      xml(
        response,
        `<InitiateMultipartUploadResult><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`,
      );
    } else if (id === '' && request.method === 'PUT') {
      this.put(request);
      response.setHeader('etag', '"e"').end();
    } else if (upload === undefined) {
      fail(response, 404, 'NoSuchUpload');
    } else if (request.method === 'PUT') {
      upload.parts.set(Number(url.searchParams.get('partNumber')), request.body);
      response.setHeader('etag', '"p"').end();
    } else if (request.method === 'DELETE') {
      this.uploads.delete(id);
      response.writeHead(204).end();
    } else {
      const parts = [...upload.parts].toSorted(([a], [b]) => a - b);
      this.objects.set(key, { body: Buffer.concat(parts.map(([, part]) => part)), headers: upload.headers });
      this.uploads.delete(id);
      xml(response, '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>');
    }
  }

  private listed(prefix: string): string {
    return [...this.uploads]
      .filter(([, { key }]) => key.startsWith(prefix))
      .map(([id, { key }]) => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`)
      .join('');
  }
}

function xml(response: ServerResponse, body: string): void {
  response.setHeader('content-type', 'application/xml').end(`<?xml version="1.0"?>${body}`);
}

export function fail(
  response: ServerResponse,
  status: number,
  code: string,
  message = 'said the store',
): void {
  response.statusCode = status;
  xml(response, `<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
}
