/**
 * A sender's connection: bytes become messages, messages batches, and answers go back when their records are safe.
 *
 *     handshake   until the sender has shown that it knows the shared key; left out without one
 *     open        messages are taken
 *     ending      nothing is read any more; what is owed is answered, then it closes
 */
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { MsgpackError, MsgpackScanner, Receipt, TooLongError } from '../../../src/plugin.ts';
import type { Emit, ForwardCodec, InputContext, Reservation } from '../../../src/plugin.ts';
import { Inbox, NeverFitsError } from '../../shared/inbox.ts';
import { Answers } from './answers.ts';
import type { Closing, ForwardMetrics } from './connection-metrics.ts';
import { Handshake } from './handshake.ts';
import { Harvest, NoRoomError, TooManyError } from './harvest.ts';
import type { ForwardInputSettings } from './settings.ts';
import type { Tags } from './tags.ts';
import { compressionOf, unpack, unpackedSizes } from './unpack.ts';

/** How often somebody who waits for room looks whether there is some. Milliseconds. */
const LOOK_MS = 50;
/** What a sender gets to close its side when this one is closed. Milliseconds. */
const END_MS = 5000;

/** What the connections of one input share. */
export interface Surroundings {
  codec: ForwardCodec;
  settings: ForwardInputSettings;
  context: InputContext;
  metrics: ForwardMetrics;
  tags: Tags;
  /** Undefined once the input stops. */
  emit(): Emit | undefined;
  /** Says in the log, once in a while, why a sender was not listened to. */
  complain(reason: Closing, why: string, peer: string | undefined): void;
}

export class Connection {
  private readonly socket: Socket;
  private readonly around: Surroundings;
  private readonly peer: string | undefined;
  private readonly inbox: Inbox;
  private readonly answers: Answers;
  private handshake: Handshake | undefined;
  private scanner: MsgpackScanner;
  private state: 'handshake' | 'open' | 'ending' = 'open';
  private readonly pieces: Buffer[] = [];
  private isWorking = false;
  /** Room that a message wants for what it becomes, which was not there. Bytes. */
  private wanted = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly late = new Set<NodeJS.Timeout>();

  constructor(socket: Socket, around: Surroundings) {
    const { codec, settings, context } = around;
    this.socket = socket;
    this.around = around;
    this.peer = socket.remoteAddress;
    this.inbox = new Inbox(context);
    this.answers = new Answers((chunk) => socket.write(codec.encodeAck(chunk)));
    this.scanner = new MsgpackScanner(settings.maxMessageBytes);
    socket.on('error', () => {});
    socket.on('data', this.onData);
    socket.on('timeout', this.onTimeout);
    socket.once('close', () => this.closed());
    if (settings.sharedKey === undefined) {
      this.rest();
      return;
    }
    const { sharedKey, selfHostname, users } = settings;
    this.state = 'handshake';
    this.scanner = new MsgpackScanner(codec.MAX_HANDSHAKE_BYTES);
    this.handshake = new Handshake(codec, { sharedKey, selfHostname, users });
    socket.write(this.handshake.helo);
    this.timer = setTimeout(
      () => this.sendAway('handshake_timeout', 'It did not end the handshake in time.'),
      settings.acceptTimeoutMs,
    );
  }

  /** The input stops: nothing is taken any more, what is owed is answered yet. */
  end(): void {
    if (this.state === 'ending') return;
    this.state = 'ending';
    clearTimeout(this.timer);
    this.socket.off('data', this.onData);
    this.socket.setTimeout(0);
    this.pieces.length = 0;
    this.inbox.clear();
    this.endIfDone();
  }

  /** Closes at once. */
  destroy(): void {
    this.socket.destroy();
  }

  private readonly onData = (piece: Buffer): void => {
    this.pieces.push(piece);
    if (this.isWorking) this.socket.pause();
    else void this.work();
  };

  /** Takes in what has come, one piece after the other. */
  private async work(): Promise<void> {
    this.isWorking = true;
    this.socket.setTimeout(0);
    try {
      for (
        let piece = this.pieces.shift();
        piece !== undefined && this.isReading;
        piece = this.pieces.shift()
      )
        await this.absorb(piece);
    } catch (error) {
      if (error instanceof TooLongError)
        this.sendAway('too_large', `${error.message} Set buffer_max_size, or have it send less at a time.`);
      else if (error instanceof NeverFitsError || error instanceof TooManyError)
        this.sendAway('too_large', error.message);
      else if (error instanceof MsgpackError) this.sendAway('malformed', error.message);
      else {
        this.around.context.log.error({ error }, 'Taking a message failed');
        this.socket.destroy();
      }
    } finally {
      this.isWorking = false;
    }
    if (!this.isReading) return;
    this.rest();
    this.socket.resume();
  }

  private get isReading(): boolean {
    return this.state !== 'ending' && !this.socket.destroyed;
  }

  private async absorb(piece: Buffer): Promise<void> {
    const { inbox } = this;
    if (
      !inbox.add(piece, this.scanner.least) &&
      !(await this.withRoom(() => inbox.add(piece, this.scanner.least)))
    )
      return;
    let isMore = true;
    while (isMore && this.isReading && inbox.rest > 0) {
      const { tags, settings, context } = this.around;
      const harvest = new Harvest((tag) => tags.of(tag), settings.maxMessageBytes, context, inbox.reserved);
      try {
        const { wanted } = this;
        this.wanted = 0;
        if (!harvest.prepare(wanted) && !(await this.withRoom(() => harvest.prepare(wanted)))) return;
        isMore = await this.reap(harvest);
      } finally {
        // Also before a message that is none: those in front of it are taken.
        const room = this.handOver(harvest);
        harvest.release();
        if (room !== undefined) await room;
      }
      await this.answered();
    }
    if (!this.isReading) return;
    if (!inbox.keep(this.scanner.least)) await this.withRoom(() => inbox.keep(this.scanner.least));
  }

  /** Reads whole messages until there is none or the harvest is full, which is the answer. */
  private async reap(harvest: Harvest): Promise<boolean> {
    const { inbox } = this;
    while (inbox.rest > 0) {
      const end = this.scanner.end(inbox.bytes, inbox.start);
      if (end === -1) return false;
      const begin = inbox.start;
      const message = inbox.bytes.subarray(begin, end);
      inbox.start = end;
      if (this.state === 'handshake') this.shakeHands(message);
      else {
        try {
          const unpacking = this.take(message, harvest);
          if (unpacking !== undefined) await unpacking;
        } catch (error) {
          inbox.start = begin;
          const isTooMuch = error instanceof TooManyError || error instanceof NeverFitsError;
          if (!(error instanceof NoRoomError) && !(isTooMuch && inbox.fit())) throw error;
          // Once more, alone, when there is room.
          this.wanted = harvest.wanted;
          return true;
        }
      }
      if (!this.isReading) return false;
      if (harvest.isFull) return true;
    }
    return false;
  }

  private shakeHands(message: Buffer): void {
    const { pong, refusal } = (this.handshake as Handshake).answer(message);
    this.socket.write(pong);
    if (refusal !== undefined) {
      this.sendAway('handshake', `It was refused: ${refusal}.`);
      return;
    }
    clearTimeout(this.timer);
    this.handshake = undefined;
    this.state = 'open';
    this.scanner = new MsgpackScanner(this.around.settings.maxMessageBytes);
  }

  /** Takes one message; the promise is there when it takes time. */
  private take(bytes: Buffer, harvest: Harvest): Promise<void> | undefined {
    const { codec } = this.around;
    try {
      harvest.expect(bytes.length);
      const message = codec.decodeMessage(bytes, harvest);
      if (message === undefined) return undefined;
      const { options, packed } = message;
      if (options.signal !== 'logs') {
        harvest.undo();
        this.refuse(options.signal, options.chunk !== undefined);
        return undefined;
      }
      const compression = packed === undefined ? 'none' : compressionOf(packed, options.compressed);
      if (packed !== undefined && compression !== 'none')
        return this.takePacked(packed, compression, options.chunk, harvest);
      if (packed === undefined) harvest.end(bytes.length, options.chunk);
      else this.takeEvents(packed, options.chunk, harvest);
      return undefined;
    } catch (error) {
      if (error instanceof codec.BrokenEventsError) harvest.end(bytes.length, undefined);
      else harvest.undo();
      throw error;
    }
  }

  private async takePacked(
    packed: Buffer,
    compression: 'gzip' | 'zstd',
    chunk: string | undefined,
    harvest: Harvest,
  ): Promise<void> {
    const { settings, context } = this.around;
    const largest = context.largestReservation();
    const left = harvest.leftToUnpack;
    const limit = Math.min(settings.maxMessageBytes, left);
    let reservation: Reservation | undefined;
    let isTaken = false;
    try {
      for (const size of limit > 0 ? unpackedSizes(packed, compression, limit) : []) {
        reservation?.release();
        reservation = context.reserve(size);
        // Those in front of it may have the room that it waits for, and need not wait with it.
        if (reservation === undefined && !harvest.isFirst) throw new NoRoomError();
        reservation ??= await this.reserved(size);
        const events = reservation && (await unpack(packed, compression, size));
        if (!this.isReading) return;
        if (events === undefined) continue;
        if (events.length < size) {
          // What is given back is there yet: nobody else runs in between.
          reservation?.release();
          reservation = context.reserve(events.length);
        }
        harvest.unpacked(events.length);
        isTaken = true;
        this.takeEvents(events, chunk, harvest);
        return;
      }
      // Alone it may have enough.
      if (!harvest.isFirst) throw new NoRoomError();
      throw left < settings.maxMessageBytes ? new NeverFitsError(largest) : new TooLongError(limit);
    } finally {
      reservation?.release();
      if (!isTaken) harvest.undo();
    }
  }

  /** Takes events that came one behind the other. */
  private takeEvents(events: Buffer, chunk: string | undefined, harvest: Harvest): void {
    try {
      this.around.codec.decodePacked(events, harvest);
      harvest.end(events.length, chunk);
    } catch (error) {
      // Who waits for no answer will not send them again: those in front of what is none are taken.
      if (error instanceof MsgpackError && chunk === undefined) harvest.end(events.length, undefined);
      else harvest.undo();
      throw error;
    }
  }

  /** A message without logs. Where its sender waits for an answer it gets none: it is to know. */
  private refuse(signal: string, isAwaited: boolean): void {
    this.around.metrics.messageRefused(signal);
    const why = `It sent ${signal === 'other' ? 'what is neither logs, metrics nor traces' : signal}, and only logs are taken: have it send logs alone.`;
    if (isAwaited) this.sendAway('no_logs', why);
    else this.around.complain('no_logs', why, this.peer);
  }

  /** Gives the batches to the pipeline, and owes the answers. The promise is that there is room for more. */
  private handOver(harvest: Harvest): Promise<unknown> | undefined {
    const { byTag, chunks } = harvest;
    const emit = this.around.emit();
    if (emit === undefined) return undefined;
    const batches = [...byTag].filter(([, { length }]) => length > 0);
    if (batches.length === 0) {
      if (chunks.length > 0) this.answers.owe(chunks)();
      return undefined;
    }
    const receipt = chunks.length === 0 ? undefined : this.receiptFor(chunks);
    // Each batch releases one hold, and the receipt was made with one.
    for (let batch = 1; batch < batches.length; batch++) receipt?.hold();
    const rooms: Promise<void>[] = [];
    for (const [tag, batch] of batches) {
      const room = emit(tag, batch, receipt);
      if (room !== undefined) rooms.push(room);
    }
    return rooms.length === 0 ? undefined : Promise.all(rooms);
  }

  private receiptFor(chunks: readonly string[]): Receipt {
    const safe = this.answers.owe(chunks);
    const timer = setTimeout(() => {
      this.late.delete(timer);
      this.sendAway(
        'not_safe',
        'The records that it sent are not safe yet, neither on disk nor delivered: it will send them again.',
      );
    }, this.around.settings.ackTimeoutMs);
    this.late.add(timer);
    return new Receipt((isSafe) => {
      clearTimeout(timer);
      this.late.delete(timer);
      if (this.socket.destroyed) return;
      if (isSafe) safe();
      else this.sendAway('not_safe', 'Records that it sent were given up: it will send them again.');
      this.endIfDone();
    });
  }

  /**
   * Waits until `ready` says yes; false when that is not going to be. Who keeps the beginning of a message and gets no room for the rest is
   * sent away after a while: all could wait for one another.
   */
  private async withRoom(ready: () => boolean): Promise<boolean> {
    const since = performance.now();
    for (;;) {
      await pause(LOOK_MS);
      if (!this.isReading) return false;
      if (ready()) return true;
      if (performance.now() - since < this.around.settings.stallMs) continue;
      this.sendAway(
        'no_room',
        'There was no room in memory for the rest of its message: it will send it again.',
      );
      return false;
    }
  }

  /** Waits for so much room; undefined when there is not going to be any. */
  private async reserved(bytes: number): Promise<Reservation | undefined> {
    const { context } = this.around;
    let reservation: Reservation | undefined;
    await this.withRoom(() => {
      reservation = context.reserve(bytes);
      return reservation !== undefined;
    });
    return reservation;
  }

  /** Waits until the sender has read its answers: one that does not must not pile them up. */
  private async answered(): Promise<void> {
    const { socket } = this;
    if (!socket.writableNeedDrain) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once('drain', resolve);
    socket.once('close', resolve);
    socket.setTimeout(this.around.settings.stallMs);
    await promise;
    socket.off('drain', resolve);
    socket.off('close', resolve);
    socket.setTimeout(0);
  }

  /** Between two pieces. */
  private rest(): void {
    const { stallMs, idleMs } = this.around.settings;
    if (this.state === 'open') this.socket.setTimeout(this.inbox.rest > 0 ? stallMs : idleMs);
  }

  private readonly onTimeout = (): void => {
    const { socket } = this;
    if (socket.writableNeedDrain) this.sendAway('stalled', 'It does not read its answers.');
    else if (this.inbox.rest > 0) this.sendAway('stalled', 'Its message did not go on.');
    else if (this.answers.isEmpty) this.sendAway('idle', 'It sent nothing for idle_timeout.');
    // It waits for us.
    else this.rest();
  };

  private sendAway(reason: Closing, why: string): void {
    if (this.state === 'ending' && reason !== 'not_safe') return;
    if (this.socket.destroyed) return;
    this.around.metrics.closed(reason);
    this.around.complain(reason, why, this.peer);
    this.end();
    // What comes behind it can be answered no more.
    if (reason === 'not_safe' || reason === 'stalled') this.socket.destroy();
  }

  private endIfDone(): void {
    if (this.state !== 'ending' || !this.answers.isEmpty || this.socket.destroyed) return;
    this.socket.end();
    // Its end is only seen by who reads; what comes is nobody's.
    this.socket.resume();
    this.timer = setTimeout(() => this.socket.destroy(), END_MS);
  }

  private closed(): void {
    this.state = 'ending';
    clearTimeout(this.timer);
    for (const timer of this.late) clearTimeout(timer);
    this.late.clear();
    this.pieces.length = 0;
    this.inbox.clear();
  }
}
