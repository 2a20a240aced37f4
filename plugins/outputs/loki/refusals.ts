/**
 * Which entries a 400 refuses. Loki takes what is in order of such a push and refuses the rest, and says so in words: as many as fit
 * together are read, so that nothing taken is sent again and nothing refused is believed to be there.
 *
 * The distributor checks every entry by itself, and lists what it refused, grouped by message:
 *
 *     2 errors like: entry for stream '{…}' has timestamp too old: T, oldest acceptable timestamp is: T; 1 errors like: max entry size …
 *
 * The ingester then refuses what is too far behind the newest of its stream, and counts:
 *
 *     entry with timestamp … ignored, reason: 'entry too far behind, …, oldest acceptable timestamp is: T', …total ignored: 2 out of 9 …
 *
 * Source: pkg/validation/validate.go, pkg/distributor/validator.go, pkg/ingester/stream.go of Loki 3.7.
 */
import type { Entries } from './entries.ts';
import type { Pair } from './fields.ts';
import type { Stream } from './streams.ts';

/** An entry that was refused, and why. */
export interface Refusal {
  entry: number;
  reason: string;
}

export interface Verdict {
  refused: Refusal[];
  /** Entries of which it is not certain. */
  unclear: number[];
  /** All were refused for what may be nobody's fault here: labels of the configuration, a clock. */
  doubtful: boolean;
}

/** Of a reason, characters. */
const SHOWN = 300;
/** Left out of the size of structured metadata. */
const UNCOUNTED = new Set(['detected_level']);

const OLD = /^entry for stream '.*' has timestamp too old: (\S+), oldest acceptable timestamp is: \S+$/s;
const NEW = /^entry for stream '.*' has timestamp too new: (\S+)$/s;
const LONG =
  /^max entry size '(\d+)' bytes exceeded for stream '.*' while adding an entry with length '(\d+)' bytes$/s;
const NO_METADATA = /^stream '.*' includes structured metadata, but this feature is disallowed/s;
const LARGE_METADATA = /^stream '.*' has structured metadata too large: '(\d+)' bytes, limit: '\d+' bytes/s;
const MANY_METADATA = /^stream '.*' has too many structured metadata labels: '(\d+)', limit: '\d+'/s;
/** About the labels: no entry of the stream was taken. */
const STREAM =
  /^entry for stream '.*' has \d+ label names; limit \d+$|^stream '.*' has (?:label (?:name|value) too long|duplicate label name): |^error parsing labels '/s;
const WANTED = /^(?:\d+ errors like: )?missing required labels '([^']*)'/;
const BEHIND = /entry too far behind, entry timestamp is: \S+, oldest acceptable timestamp is: ([^\s']+)'/;
const IGNORED = /total ignored: (\d+) out of (\d+) for stream: /;

/** The labels that Loki wants every stream to have, if it says so. */
export function wantedLabels(text: string): string | undefined {
  return WANTED.exec(text)?.[1];
}

/**
 * What the text of a 400 says of a push of one stream. Undefined when it is not understood or does not fit the stream: then nothing is
 * known.
 */
export function readRefusals(text: string, stream: Stream, entries: Entries): Verdict | undefined {
  // A label that a record brought could be written like a message.
  if (stream.labels.some(([, value]) => /[;'\n]/.test(value))) return undefined;
  const said = text.trim();
  return said.startsWith('entry with timestamp ')
    ? readBehind(said, stream, entries)
    : readInvalid(said, stream, entries);
}

function readBehind(text: string, stream: Stream, entries: Entries): Verdict | undefined {
  const cutoff = secondsOf(BEHIND.exec(text)?.[1]);
  const [, ignored, total] = IGNORED.exec(text) ?? [];
  if (cutoff === undefined || Number(total) !== stream.entries.length) return undefined;
  const count = Number(ignored);
  const refused = stream.entries.slice(0, count);
  const after = stream.entries.slice(count);
  // The instant is only told to the second.
  const second = (entry: number): number => entries.seconds[entry] as number;
  if (refused.some((entry) => second(entry) > cutoff) || after.some((entry) => second(entry) < cutoff)) {
    return undefined;
  }
  const reason = shortened(text.slice(text.indexOf("reason: '") + 9).split("'", 1)[0] ?? text);
  return {
    refused: refused.map((entry) => ({ entry, reason })),
    unclear: after.filter((entry) => second(entry) === cutoff),
    doubtful: false,
  };
}

/** Messages of one kind: how often for which number in it. */
class Kind {
  readonly counts = new Map<number, number>();
  total = 0;
  reason = '';

  add(value: number, count: number, reason: string): void {
    this.counts.set(value, (this.counts.get(value) ?? 0) + count);
    this.total += count;
    if (this.reason === '') this.reason = reason;
  }

  /** Whether these entries are what was counted. */
  fits(found: readonly number[], valueOf: (entry: number) => number): boolean {
    if (found.length !== this.total) return false;
    const counts = new Map<number, number>();
    for (const entry of found) counts.set(valueOf(entry), (counts.get(valueOf(entry)) ?? 0) + 1);
    return (
      counts.size === this.counts.size && [...counts].every(([value, n]) => this.counts.get(value) === n)
    );
  }
}

function readInvalid(text: string, stream: Stream, entries: Entries): Verdict | undefined {
  const old = new Kind();
  const young = new Kind();
  const long = new Kind();
  const forbidden = new Kind();
  const large = new Kind();
  const many = new Kind();
  for (const part of text.split(/; (?=\d+ errors like: )/)) {
    const [, counted, message = ''] = /^(?:(\d+) errors like: )?(.*)$/s.exec(part) ?? [];
    const count = Number(counted ?? 1);
    const reason = shortened(message);
    if (STREAM.test(message)) {
      const all = stream.entries.map((entry) => ({ entry, reason }));
      return { refused: all, unclear: [], doubtful: true };
    }
    const [kind, value] = kindOf(message);
    if (kind === undefined || value === undefined) return undefined;
    ({ old, young, long, forbidden, large, many })[kind].add(value, count, reason);
  }
  return match(stream, entries, { old, young, long, forbidden, large, many });
}

type KindName = 'old' | 'young' | 'long' | 'forbidden' | 'large' | 'many';

function kindOf(message: string): [KindName, number | undefined] | [] {
  for (const [kind, pattern] of [
    ['old', OLD],
    ['young', NEW],
  ] as const) {
    const found = pattern.exec(message);
    if (found !== null) return [kind, secondsOf(found[1])];
  }
  const found = LONG.exec(message);
  if (found !== null) return ['long', Number(found[2])];
  if (NO_METADATA.test(message)) return ['forbidden', 0];
  for (const [kind, pattern] of [
    ['large', LARGE_METADATA],
    ['many', MANY_METADATA],
  ] as const) {
    const size = pattern.exec(message);
    if (size !== null) return [kind, Number(size[1])];
  }
  return [];
}

/** Finds the entries that the messages are about, in the order in which Loki looks at them. */
function match(stream: Stream, entries: Entries, kinds: Record<KindName, Kind>): Verdict | undefined {
  const { old, young, long, forbidden, large, many } = kinds;
  const refused: Refusal[] = [];
  const take = (kind: Kind, found: readonly number[], valueOf: (entry: number) => number): boolean => {
    if (!kind.fits(found, valueOf)) return false;
    for (const entry of found) refused.push({ entry, reason: kind.reason });
    return true;
  };
  const second = (entry: number): number => entries.seconds[entry] as number;
  // The stream is sorted: the old ones are its head, the young ones its tail.
  const last = stream.entries.length - young.total;
  if (old.total > last) return undefined;
  if (!take(old, stream.entries.slice(0, old.total), second)) return undefined;
  if (!take(young, stream.entries.slice(last), second)) return undefined;
  let rest = stream.entries.slice(old.total, last);

  const byValue = (kind: Kind, valueOf: (entry: number) => number): boolean => {
    if (kind.total === 0) return true;
    const found = rest.filter((entry) => kind.counts.has(valueOf(entry)));
    rest = rest.filter((entry) => !kind.counts.has(valueOf(entry)));
    return take(kind, found, valueOf);
  };
  const pairs = (entry: number): readonly Pair[] => entries.metadata?.[entry] ?? [];
  if (!byValue(long, (entry) => entries.lineLength(entry))) return undefined;
  if (forbidden.total > 0) {
    const found = rest.filter((entry) => pairs(entry).length > 0);
    if (!take(forbidden, found, () => 0)) return undefined;
    rest = rest.filter((entry) => pairs(entry).length === 0);
  }
  if (!byValue(large, (entry) => metadataSize(pairs(entry)))) return undefined;
  if (!byValue(many, (entry) => pairs(entry).length)) return undefined;
  return { refused, unclear: [], doubtful: young.total > 0 && refused.length === stream.entries.length };
}

function metadataSize(pairs: readonly Pair[]): number {
  let size = 0;
  for (const [name, value] of pairs)
    if (!UNCOUNTED.has(name)) size += Buffer.byteLength(name) + Buffer.byteLength(value);
  return size;
}

function secondsOf(time: string | undefined): number | undefined {
  const milliseconds = Date.parse(time ?? '');
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000);
}

function shortened(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
