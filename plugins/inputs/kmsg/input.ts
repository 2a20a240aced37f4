/**
 * Reads the kernel's messages, once each: what an output has is remembered by sequence number, together with the boot that the numbers
 * belong to. The kernel keeps its messages in a ring and overwrites the oldest; what went so before it was read is counted as dropped.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Batch, Source } from '../../../src/plugin.ts';
import type { Emit, Input, InputContext, LogRecord, SourceStore } from '../../../src/plugin.ts';
import { Rarely } from '../../shared/rarely.ts';
import { parseKernelMessage } from './record.ts';
import type { KernelMessage } from './record.ts';

/** How often it is asked for new messages. Milliseconds. */
const LOOK_MS = 200;
const MOST_RECORDS = 500;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** What messages are read from; see `KmsgDevice`. */
export interface MessageReader {
  readonly isStandIn: boolean;
  next(): string | undefined;
  close(): void;
}

export interface KmsgSettings {
  path: string;
  /** Messages of a higher number are left out. */
  mostPriority: number;
  /** Opens what messages are read from. */
  open: () => MessageReader;
}

export class KmsgInput implements Input {
  private readonly settings: KmsgSettings;
  private readonly context: InputContext;
  private readonly rarely = { lost: new Rarely(), malformed: new Rarely(), failed: new Rarely() };
  private readonly stopping = new AbortController();
  private device: MessageReader | undefined;
  private source = new Source('', 0);
  /** Of the next message, if none gets lost; undefined before the first of a source that nothing is known of. */
  private expected: number | undefined;
  private working: Promise<void> = Promise.resolve();

  constructor(settings: KmsgSettings, context: InputContext) {
    this.settings = settings;
    this.context = context;
  }

  start(emit: Emit): void {
    const { path, open } = this.settings;
    try {
      this.device = open();
    } catch (error) {
      throw new Error(`${this.context.name}: opening ${path}: ${adviceFor(error as NodeJS.ErrnoException)}`, {
        cause: error,
      });
    }
    if (this.device.isStandIn)
      this.context.log.warn({ path }, 'This is no device: its text stands in for messages of the kernel');
    this.takeUp(bootId());
    this.working = this.run(this.device, emit);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.working;
  }

  close(): void {
    this.device?.close();
    this.device = undefined;
  }

  /** Goes on where an earlier run of this boot was. */
  private takeUp(boot: string): void {
    const { store } = this.context;
    if (store === undefined) {
      this.source = new Source(`kmsg/${boot}`, 0);
    } else {
      const known = store.load();
      const same = known.find(
        ({ identity }) => identity.inode === boot && identity.path === this.settings.path,
      );
      // The numbers of another boot mean nothing any more.
      store.remove(known.filter((each) => each !== same).map(({ source }) => source));
      this.source = same?.source ?? this.add(store, boot);
      if (same !== undefined) this.expected = same.source.emitted;
    }
    // The ring is short, and gone with the next boot: what was read of it goes to disk when it has to wait.
    this.source.gone = true;
  }

  private add(store: SourceStore, boot: string): Source {
    const identity = {
      path: this.settings.path,
      device: 'kmsg',
      inode: boot,
      fingerprint: '',
      fingerprintLength: 0,
    };
    return store.add([{ identity, start: 0 }])[0] as Source;
  }

  private async run(device: MessageReader, emit: Emit): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const isMore = await this.take(device, emit);
      if (!isMore) await pause(LOOK_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Hands over what is there, up to a batch; false when that was all. */
  private async take(device: MessageReader, emit: Emit): Promise<boolean> {
    const batch = new Batch();
    batch.source = this.source;
    const bootMs = Date.now() - Number(process.hrtime.bigint() / 1000n) / 1000;
    let isMore = true;
    for (let count = 0; isMore && count < MOST_RECORDS; count++) {
      const record = this.read(device);
      isMore = record !== undefined;
      if (record !== undefined && record !== '') this.push(batch, record, bootMs);
    }
    const next = this.expected;
    if (batch.length > 0) {
      const end = batch.base + (batch.stops[batch.length - 1] as number);
      await emit(this.context.tag, batch);
      // Not taken: the agent stops.
      if (this.source.emitted < end) return false;
    }
    // Messages that were left out are done with too.
    if (next !== undefined) this.source.advance(next);
    return isMore;
  }

  /** A record; empty when there may be more behind what could not be read. */
  private read(device: MessageReader): string | undefined {
    try {
      return device.next();
    } catch (error) {
      // The gap in the numbers says how many.
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') return '';
      const count = this.rarely.failed.happened();
      if (count > 0)
        this.context.log.error({ error, count }, 'Cannot read messages of the kernel; will try again');
      return undefined;
    }
  }

  private push(batch: Batch, record: string, bootMs: number): void {
    const { context } = this;
    const message = parseKernelMessage(record);
    if (message === undefined) {
      context.drop('malformed', 1);
      const count = this.rarely.malformed.happened();
      if (count > 0)
        context.log.warn({ record: record.slice(0, 100), count }, 'This is no message of the kernel');
      return;
    }
    const { sequence, priority, microseconds } = message;
    const { expected = sequence } = this;
    // An earlier run had it.
    if (sequence < expected) return;
    if (sequence > expected) this.lost(sequence - expected);
    this.expected = sequence + 1;
    if (priority > this.settings.mostPriority) {
      context.drop('priority', 1);
      return;
    }
    if (batch.length === 0) batch.base = sequence;
    const at = sequence - batch.base;
    // Milliseconds, and microseconds behind the point.
    const time = bootMs + microseconds / 1000;
    const seconds = Math.floor(time / 1000);
    const nanos = Math.min(Math.round((time - seconds * 1000) * 1000) * 1000, 999_999_000);
    batch.push(recordOf(message), undefined, seconds, nanos, at, at + 1);
  }

  private lost(count: number): void {
    this.context.drop('overwritten', count);
    const times = this.rarely.lost.happened();
    if (times > 0)
      this.context.log.warn(
        { count, times },
        'Messages of the kernel were overwritten before they were read, and are lost',
      );
  }
}

/** Fluent Bit's record; further keys where there is something to say. */
function recordOf({
  priority,
  facility,
  sequence,
  microseconds,
  text,
  dictionary,
}: KernelMessage): LogRecord {
  const sec = Math.floor(microseconds / 1e6);
  return {
    priority,
    sequence,
    sec,
    usec: microseconds - sec * 1e6,
    msg: text,
    ...(facility === 0 ? {} : { facility }),
    ...(dictionary === undefined ? {} : { dictionary }),
  };
}

function bootId(): string {
  return readFileSync(BOOT_ID, 'utf8').trim();
}

function adviceFor({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EACCES' || code === 'EPERM')
    return 'permission denied. It needs root, or the capability CAP_SYSLOG where kernel.dmesg_restrict is set.';
  if (code === 'ENOENT') return 'it is not there. In a container the device has to be passed in.';
  return `${message}.`;
}
