/** A gRPC server of one unary method, as the protocol has it: what comes is noted, what goes back is said by the test. */
import { createServer } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

export interface GrpcCall {
  headers: IncomingHttpHeaders;
  message: Buffer;
  /** As it came. */
  frame: Buffer;
}

export interface GrpcAnswer {
  /** gRPC status; default 0. */
  status?: number;
  message?: string;
  /** A google.rpc.Status. */
  details?: Buffer;
  /** The message of the answer. */
  body?: Buffer;
  /** HTTP status, without anything of gRPC. */
  httpStatus?: number;
}

export interface GrpcServer {
  port: number;
  calls: GrpcCall[];
  close(): Promise<void>;
}

export async function startGrpcServer(answer: () => GrpcAnswer = () => ({})): Promise<GrpcServer> {
  const calls: GrpcCall[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    const pieces: Buffer[] = [];
    stream.on('error', () => {});
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.on('end', () => {
      const frame = Buffer.concat(pieces);
      const message = frame.subarray(5, 5 + frame.readUInt32BE(1));
      calls.push({ headers, frame, message: plain(message, frame[0] === 1, headers['grpc-encoding']) });
      respond(stream as ServerHttp2Stream, answer());
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    calls,
    async close() {
      const closed = new Promise((resolve) => {
        server.close(resolve);
      });
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

function plain(message: Buffer, compressed: boolean, encoding: string | string[] | undefined): Buffer {
  if (!compressed) return message;
  return encoding === 'gzip' ? gunzipSync(message) : zstdDecompressSync(message);
}

function respond(stream: ServerHttp2Stream, answer: GrpcAnswer): void {
  const { status = 0, message = '', details, body = Buffer.alloc(0), httpStatus } = answer;
  if (httpStatus !== undefined) {
    stream.respond({ ':status': httpStatus });
    stream.end('no gRPC');
    return;
  }
  const trailers = {
    'grpc-status': String(status),
    ...(message === '' ? {} : { 'grpc-message': encodeURIComponent(message) }),
    ...(details === undefined ? {} : { 'grpc-status-details-bin': details.toString('base64') }),
  };
  const head = { ':status': 200, 'content-type': 'application/grpc' };
  if (status !== 0) {
    // Without body the trailers come in front.
    stream.respond({ ...head, ...trailers }, { endStream: true });
    return;
  }
  stream.respond(head, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  const length = Buffer.alloc(5);
  length.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([length, body]));
}
