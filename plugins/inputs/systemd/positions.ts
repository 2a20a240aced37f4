/**
 * How far the journal was read, and how far what was read is delivered.
 *
 * journald can be read on behind a cursor, and a cursor is all that journalctl takes: it has no offsets. Marks (DELIVERY.md, rule 6) need
 * positions that ascend and mean the same entry for ever. Both are had like this:
 *
 *   position   the sequence number of an entry, which journald gives out one by one and which the cursor says (`s=STREAM;i=NUMBER;…`).
 *              Entries that were read again are known by it, whatever vacuum has taken between them.
 *   source     a stream of numbers and a tag (a chunk has one tag, and must cover its range of a source alone). Each has its marks.
 *   resumption the cursor of the last entry before the first one that some output has not got, in the order of reading. It is a row of its
 *              own, the anchor, and goes into the same transaction as the marks: what is in the state always fits together.
 *
 *        reading ──►  [ block ][ block ][ block ][ block ]──► emitted            a block: what was handed over at once, of
 *                     settled  │ open     settled  open                          several sources
 *                              └ the cursor in the state; what is settled behind it is passed over when it is read again
 *
 * SIGKILL at any instant: reading resumes at that cursor; each output gets again what it had not acknowledged, or whose mark was not
 * written yet, and nothing else. Ids (source and position) are the same then.
 *
 * Numbers of one stream that go back or come twice (journald crashed and had not got its counter back; libsystemd merges streams by their
 * clocks) begin new sources for the stream, so that no mark says anything of them; a restart that finds two generations believes neither and sends twice.
 *
 * Sources that have nothing under way are forgotten beyond a number: units come and go, and all that they had lies before the anchor.
 */
import { randomUUID } from 'node:crypto';
import { Source } from '../../../src/plugin.ts';
import type { SourceIdentity, SourceStore } from '../../../src/plugin.ts';

/** Sources without anything under way that are remembered. */
const MAX_IDLE = 64;
/** Size of an anchor that says where to read on; before that, a first start was cut short. */
const BEGUN = 1;
const CURSOR = /^s=([0-9a-f]{32});i=([0-9a-f]{1,13});/;

/** Where an entry stands: all that is needed of its cursor. */
export interface Place {
  stream: string;
  number: number;
}

/** What a cursor says; undefined when it is none that is known. */
export function readCursor(cursor: string): Place | undefined {
  const match = CURSOR.exec(cursor);
  if (match === null) return undefined;
  return { stream: match[1] as string, number: Number.parseInt(match[2] as string, 16) };
}

function validCursor(cursor: string | undefined): string | undefined {
  return cursor === undefined || readCursor(cursor) === undefined ? undefined : cursor;
}

interface Tracked {
  source: Source;
  stream: string;
  tag: string;
  /** Blocks that have something of it. */
  blocks: number;
}

interface Block {
  /** Of its last entry. */
  cursor: string;
  /** The sources in it, and where each stands behind it. */
  parts: { tracked: Tracked; stop: number }[];
}

export class JournalPositions {
  /** Of the last entry that was handed over; undefined when there was none. */
  last: string | undefined;
  /** Microseconds of Unix time when this input began, in this or an earlier run. */
  readonly since: number;
  /** Nothing was remembered: where to begin is for the configuration to say. */
  fresh: boolean;
  private readonly store: SourceStore | undefined;
  private readonly anchor: Source;
  private readonly sources = new Map<string, Tracked>();
  /** Sources of streams whose numbers went back, until they are settled. */
  private readonly retired = new Set<Tracked>();
  private readonly blocks: Block[] = [];
  /** Number of the last entry of each stream. */
  private readonly reached = new Map<string, number>();
  /** The cursor to resume at, as far as blocks were settled. */
  private resume: string | undefined;
  private generation = 0;

  constructor(store: SourceStore | undefined, now = Date.now()) {
    this.store = store;
    const stored = store?.load() ?? [];
    const anchor = stored.find(({ identity }) => identity.device === 'anchor');
    const legacy = anchor === undefined ? validCursor(store?.legacyCursor) : undefined;
    if (anchor !== undefined) this.since = Number(anchor.identity.fingerprint);
    else this.since = legacy === undefined ? now * 1000 : 0;
    // A state that lost its anchor to damage is not fresh: nothing may be passed over on its account.
    if (anchor === undefined) this.fresh = legacy === undefined && (store?.fresh ?? true);
    else this.fresh = anchor.size !== BEGUN;
    this.anchor = anchor?.source ?? this.newAnchor();
    this.adopt(stored.filter(({ identity }) => identity.device !== 'anchor'));
    if (this.fresh) return;
    this.begin(legacy ?? validCursor(anchor?.tailHash));
  }

  private newAnchor(): Source {
    const identity = {
      path: 'journal',
      device: 'anchor',
      inode: '',
      fingerprint: String(this.since),
      fingerprintLength: 0,
    };
    return this.newSources([{ identity, start: 0 }])[0] as Source;
  }

  private adopt(stored: readonly { source: Source; identity: SourceIdentity }[]): void {
    const doubtful = new Map<string, Source[]>();
    for (const { source, identity } of stored) {
      const key = keyOf(identity.inode, identity.path);
      doubtful.set(key, [...(doubtful.get(key) ?? []), source]);
      this.track(key, { source, stream: identity.inode, tag: identity.path, blocks: 0 });
    }
    for (const [key, sources] of doubtful) {
      if (sources.length === 1) continue;
      this.sources.delete(key);
      this.store?.remove(sources);
    }
  }

  private newSources(found: readonly { identity: SourceIdentity; start: number }[]): Source[] {
    if (this.store !== undefined) return this.store.add(found);
    return found.map(({ start }) => new Source(randomUUID(), start));
  }

  private track(key: string, tracked: Tracked): void {
    this.sources.set(key, tracked);
    tracked.source.inBytes = false;
    // The anchor is written whenever marks are.
    this.store?.describe(tracked.source, () => {
      this.anchor.touch();
      return undefined;
    });
  }

  /** Begins behind an entry, or at the head of the journal. Stored when the call returns. */
  begin(cursor: string | undefined): void {
    this.fresh = false;
    this.resume = cursor;
    this.last = cursor;
    const place = cursor === undefined ? undefined : readCursor(cursor);
    if (place !== undefined) this.reached.set(place.stream, place.number);
    this.store?.describe(this.anchor, () => ({ tailHash: this.resumption() ?? '', size: BEGUN }));
    this.anchor.touch();
    // Adding nothing writes what there is.
    this.store?.add([]);
  }

  /** Begins anew at the head: the journal is not the one that was read. Nothing that is remembered says anything of it. */
  startOver(): void {
    for (const tracked of this.sources.values()) this.retired.add(tracked);
    this.sources.clear();
    for (const tracked of this.retired) tracked.blocks = 0;
    this.blocks.length = 0;
    this.reached.clear();
    this.begin(undefined);
    this.tidy();
  }

  /** The numbers of its stream do not go on with it: what was read is to be handed over before {@link step}. */
  goesBack({ stream, number }: Place): boolean {
    return number <= (this.reached.get(stream) ?? -1);
  }

  /** Takes the next entry of a stream; returns how many are missing between the one before and this one. */
  step(place: Place): number {
    const { stream, number } = place;
    const reached = this.reached.get(stream);
    const goesBack = this.goesBack(place);
    if (goesBack) this.retire(stream);
    this.reached.set(stream, number);
    return reached === undefined || goesBack ? 0 : number - reached - 1;
  }

  private retire(stream: string): void {
    for (const [key, tracked] of this.sources) {
      if (tracked.stream !== stream) continue;
      this.sources.delete(key);
      this.retired.add(tracked);
    }
    this.generation++;
  }

  /** The sources that parts of a block belong to; new ones are stored when the call returns, each from its part's first position on. */
  sourcesOf(parts: readonly { stream: string; tag: string; start: number }[]): Source[] {
    const news = parts.filter(({ stream, tag }) => !this.sources.has(keyOf(stream, tag)));
    if (news.length > 0) {
      const added = this.newSources(
        news.map(({ stream, tag, start }) => ({
          identity: {
            path: tag,
            device: 'stream',
            inode: stream,
            fingerprint: String(this.generation),
            fingerprintLength: 0,
          },
          start,
        })),
      );
      news.forEach(({ stream, tag }, index) => {
        this.track(keyOf(stream, tag), { source: added[index] as Source, stream, tag, blocks: 0 });
      });
    }
    return parts.map(({ stream, tag }) => (this.sources.get(keyOf(stream, tag)) as Tracked).source);
  }

  /** A block is about to be handed over. `cursor` is that of its last entry. */
  handOver(cursor: string, parts: readonly { stream: string; tag: string; stop: number }[]): void {
    this.last = cursor;
    this.blocks.push({
      cursor,
      parts: parts.map(({ stream, tag, stop }) => {
        const tracked = this.sources.get(keyOf(stream, tag)) as Tracked;
        tracked.blocks++;
        // The one used last stands last.
        this.sources.delete(keyOf(stream, tag));
        this.sources.set(keyOf(stream, tag), tracked);
        return { tracked, stop };
      }),
    });
  }

  /** The cursor to resume at: before it every output has everything. */
  resumption(): string | undefined {
    const positions = new Map<Source, number>();
    const isSettled = ({ tracked: { source }, stop }: Block['parts'][number]): boolean => {
      let position = positions.get(source);
      if (position === undefined) {
        position = source.position();
        positions.set(source, position);
      }
      return position >= stop;
    };
    let settled = 0;
    for (const { cursor, parts } of this.blocks) {
      if (!parts.every(isSettled)) break;
      settled++;
      this.resume = cursor;
      for (const { tracked } of parts) tracked.blocks--;
    }
    if (settled > 0) this.blocks.splice(0, settled);
    return this.resume;
  }

  /** Forgets sources that are over; to be called now and then while the store writes nothing. */
  tidy(): void {
    this.resumption();
    const over: Source[] = [];
    for (const tracked of this.retired) {
      if (tracked.blocks > 0) continue;
      this.retired.delete(tracked);
      over.push(tracked.source);
    }
    let surplus = this.sources.size - MAX_IDLE;
    if (surplus > 0) {
      for (const [key, { blocks, source }] of this.sources) {
        if (blocks > 0) continue;
        this.sources.delete(key);
        over.push(source);
        if (--surplus === 0) break;
      }
    }
    if (over.length === 0) return;
    // In one transaction: the anchor must not stand before what a forgotten source knew.
    this.store?.remove(over);
    this.anchor.touch();
  }
}

const keyOf = (stream: string, tag: string): string => `${stream} ${tag}`;
