/** Reads push requests of the loki output, with decoders that are not ours. */
import { gunzipSync } from 'node:zlib';
import { PbfReader } from 'pbf';
import { uncompress } from 'snappyjs';

const LIMIT = 64 * 1024 * 1024;

export interface PushedEntry {
  /** Nanoseconds since 1970. */
  at: bigint;
  line: string;
  metadata?: Record<string, string>;
}

export interface PushedStream {
  labels: Record<string, string>;
  entries: PushedEntry[];
}

/** The streams of a request. */
export function readPush(request: {
  body: Buffer;
  headers: Record<string, string | string[] | undefined>;
}): PushedStream[] {
  const { body, headers } = request;
  if (headers['content-type'] === 'application/x-protobuf') return readProtobuf(body);
  const json = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  const { streams } = JSON.parse(json.toString()) as {
    streams: { stream: Record<string, string>; values: [string, string, Record<string, string>?][] }[];
  };
  return streams.map(({ stream, values }) => ({
    labels: stream,
    entries: values.map(([at, line, metadata]) => ({
      at: BigInt(at),
      line,
      ...(metadata === undefined ? {} : { metadata }),
    })),
  }));
}

function readProtobuf(body: Buffer): PushedStream[] {
  const streams: PushedStream[] = [];
  new PbfReader(uncompress(body, LIMIT)).readFields((tag, result, pbf) => {
    if (tag === 1) result.push(readStream(pbf));
  }, streams);
  return streams;
}

function readStream(pbf: PbfReader): PushedStream {
  const stream: PushedStream = { labels: {}, entries: [] };
  return pbf.readMessage((tag, result, reader) => {
    if (tag === 1) result.labels = readLabels(reader.readString());
    else if (tag === 2) result.entries.push(readEntry(reader));
  }, stream);
}

/** `{a="b", c="d"}`: what is between the quotes is read as JSON, of which Go's quoting is a superset. */
function readLabels(text: string): Record<string, string> {
  const pairs = Array.from(text.matchAll(/([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*")(?:, |\}$)/g));
  if (`{${pairs.map(([, name, value]) => `${name}=${value}`).join(', ')}}` !== text) {
    throw new Error(`These are no labels: ${text}`);
  }
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, JSON.parse(value) as string]));
}

function readEntry(pbf: PbfReader): PushedEntry {
  const time = { seconds: 0, nanos: 0 };
  const entry: PushedEntry = { at: 0n, line: '' };
  pbf.readMessage((tag, result, reader) => {
    if (tag === 1) {
      reader.readMessage((field, parts, inner) => {
        if (field === 1) parts.seconds = inner.readVarint(true);
        else if (field === 2) parts.nanos = inner.readVarint(true);
      }, time);
    } else if (tag === 2) {
      result.line = reader.readString();
    } else if (tag === 3) {
      const pair = { name: '', value: '' };
      reader.readMessage((field, parts, inner) => {
        if (field === 1) parts.name = inner.readString();
        else if (field === 2) parts.value = inner.readString();
      }, pair);
      (result.metadata ??= {})[pair.name] = pair.value;
    }
  }, entry);
  entry.at = BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanos);
  return entry;
}
