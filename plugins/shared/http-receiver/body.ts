/**
 * Reads a request's body, decompressed, within limits: its size, the room in the input's memory, and the time without data. Room is
 * taken before bytes are kept, and a decompressor's output is counted while it comes.
 */
import type { IncomingMessage } from 'node:http';
import { constants, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { Transform } from 'node:stream';
import { loadSnappy } from '../../../src/plugin.ts';
import { isCutOff, whenIdle } from './either-http.ts';
import { Pieces } from './pieces.ts';
import { Refusal } from './refusal.ts';
import type { Room } from './room.ts';

/** What expands to more than so many times its size is no log. */
const MAX_RATIO = 1000;
/** Below this much output the ratio says nothing. Bytes. */
const RATIO_FROM = 256 * 1024;

/** A window that RFC 8878 asks decoders to have; more is memory that a few bytes would allocate. Base-2 logarithm of bytes. */
const ZSTD_WINDOW_LOG = 23;

const DECOMPRESSORS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['zstd', () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } })],
]);

/** A block that is decompressed as a whole. */
const SNAPPY = 'snappy';
/** Bytes of the length in front of a block. */
const SNAPPY_LENGTH = 5;

export interface BodyLimits {
  /** Bytes of a body, before and after decompression. */
  maxBytes: number;
  /** Time without data after which a body is given up. Milliseconds. */
  idleMs: number;
}

/** Checks what the headers say and takes room for it. To be called before the body is asked for. Throws {@link Refusal}. */
export function admitBody(request: IncomingMessage, room: Room, { maxBytes }: BodyLimits): void {
  encodingOf(request);
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > maxBytes) throw tooLarge(maxBytes);
  room.ensure(length, 0);
}

/**
 * Reads an admitted body. Rejects with {@link Refusal}, status 0 when the sender went away, or when `signal` says that the request
 * is answered already: its stream does not say how it ends from then on.
 */
export async function readBody(
  request: IncomingMessage,
  room: Room,
  limits: BodyLimits,
  signal: AbortSignal,
): Promise<Buffer> {
  const body = await readPieces(request, room, limits, signal);
  return encodingOf(request) === SNAPPY ? decompressBlock(body, room, limits) : body;
}

function readPieces(
  request: IncomingMessage,
  room: Room,
  limits: BodyLimits,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { maxBytes, idleMs } = limits;
    const decompressor = DECOMPRESSORS.get(encodingOf(request))?.();
    const pieces = new Pieces();
    let received = 0;
    let kept = 0;
    const finish = (error: Refusal | undefined): void => {
      stopIdling();
      request.off('data', onReceived);
      request.off('end', onEnd);
      request.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (decompressor !== undefined) {
        request.unpipe(decompressor);
        decompressor.destroy();
      }
      if (error === undefined) resolve(pieces.join());
      else reject(error);
    };
    const count = (): void => {
      if (received > maxBytes || kept > maxBytes) throw tooLarge(maxBytes);
      if (decompressor !== undefined) checkRatio(received, kept);
      room.ensure(decompressor === undefined ? kept : received + kept);
    };
    const guarded = (step: () => void): void => {
      try {
        step();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        finish(error);
      }
    };
    const onReceived = (piece: Buffer): void =>
      guarded(() => {
        received += piece.length;
        if (decompressor === undefined) keep(piece);
        else count();
      });
    const keep = (piece: Buffer): void => {
      kept += piece.length;
      count();
      pieces.add(piece);
    };
    const onIdle = (): void => finish(new Refusal(408, 'The body did not go on in time.'));
    // Comes behind a whole body too, and then maybe before its decompressor is done.
    const onClose = (): void => {
      if (isCutOff(request)) finish(new Refusal(0, 'The connection was closed within the body.'));
    };
    const onEnd = (): void => {
      onClose();
      if (decompressor === undefined) finish(undefined);
    };

    const stopIdling = whenIdle(request, idleMs, onIdle);
    const onAbort = (): void => finish(new Refusal(0, 'The request is answered already.'));
    signal.addEventListener('abort', onAbort);
    request.on('data', onReceived);
    request.once('end', onEnd);
    request.once('close', onClose);
    if (decompressor === undefined) return;
    decompressor.on('data', (piece: Buffer) => guarded(() => keep(piece)));
    decompressor.once('end', () => finish(undefined));
    decompressor.once('error', () => finish(notCompressed()));
    request.pipe(decompressor);
  });
}

/** Room for what it says to be is taken first. */
async function decompressBlock(
  bytes: Buffer,
  room: Room,
  { maxBytes }: Pick<BodyLimits, 'maxBytes'>,
): Promise<Buffer> {
  const { decompressSnappy, SnappyError } = await loadSnappy();
  let length = 0;
  for (let at = 0; at < SNAPPY_LENGTH; at++) {
    const byte = bytes[at] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) break;
  }
  if (length > maxBytes) throw tooLarge(maxBytes);
  checkRatio(bytes.length, length);
  room.ensure(bytes.length + length);
  try {
    return decompressSnappy(bytes, maxBytes);
  } catch (error) {
    if (error instanceof SnappyError) throw notCompressed();
    throw error;
  }
}

function notCompressed(): Refusal {
  return new Refusal(
    400,
    'The body cannot be decompressed: it is not what its Content-Encoding says, or not whole.',
  );
}

function checkRatio(compressed: number, decompressed: number): void {
  if (decompressed > RATIO_FROM && decompressed > compressed * MAX_RATIO)
    throw new Refusal(413, `The body expands to more than ${MAX_RATIO} times its size.`);
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(413, `The body is larger than buffer_max_size, ${maxBytes} bytes: send less at a time.`);
}

/** The body's encoding, known. Throws {@link Refusal}. */
function encodingOf({ headers }: IncomingMessage): string {
  const encoding = (headers['content-encoding'] ?? '').trim().toLowerCase();
  if (encoding === '' || encoding === 'identity' || encoding === SNAPPY || DECOMPRESSORS.has(encoding))
    return encoding;
  throw new Refusal(415, 'This Content-Encoding is not taken: gzip, deflate, zstd and snappy are.');
}

/** Decompresses what lies in memory already, within the same limits. Rejects with {@link Refusal}; undefined: the encoding is not known. */
export function decompress(
  bytes: Buffer,
  encoding: string,
  room: Room,
  { maxBytes }: BodyLimits,
): Promise<Buffer> | undefined {
  if (encoding === SNAPPY) return decompressBlock(bytes, room, { maxBytes });
  const decompressor = DECOMPRESSORS.get(encoding)?.();
  if (decompressor === undefined) return undefined;
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let kept = 0;
    decompressor.on('data', (piece: Buffer) => {
      kept += piece.length;
      try {
        if (kept > maxBytes) throw tooLarge(maxBytes);
        checkRatio(bytes.length, kept);
        room.ensure(bytes.length + kept);
      } catch (error) {
        decompressor.destroy(error as Error);
        return;
      }
      pieces.push(piece);
    });
    decompressor.once('end', () => resolve(Buffer.concat(pieces, kept)));
    decompressor.once('error', (error) => reject(error instanceof Refusal ? error : notCompressed()));
    decompressor.end(bytes);
  });
}
