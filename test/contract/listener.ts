/**
 * The contract of an input that listens (SECURITY.md, rules 5, 8, 10, 11 and 21), as tests that every such input runs:
 * `describeListener('tcp', driver)`. Whoever connects can cost no more than the limits say, is counted when it was sent away, and
 * harms nobody else.
 *
 * A driver says how the input's protocol looks: one good message, and what is to be defended against. What a protocol cannot have is a
 * sentence that says why.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Emit, InputDefinition, OptionFields, Parser } from '../../src/plugin.ts';
import { tlsFile } from '../net/servers.ts';
import { Collector, inputContext } from '../plugins/inputs/collecting.ts';
import { optionsOf } from './support.ts';

/** A counter without its prefix `tailrace_input_`, and labels: `['connections_closed_total', { reason: 'idle' }]`. */
export type Counted = readonly [metric: string, labels: Readonly<Record<string, string>>];

/** Bytes that somebody sends on a connection of its own, or in a datagram. */
export interface Hostile {
  name: string;
  bytes: Buffer;
  /** Options beside the driver's. */
  options?: Readonly<Record<string, string>>;
  /** With these options the driver's own message is not taken. */
  isAlone?: boolean;
  /**
   * `closed`: the connection is. `taken`: it becomes records, cut or as text, and the connection goes on. `ignored`: nothing comes of it,
   * and the connection goes on. An expression: the answer matches it, whatever becomes of the connection.
   */
  outcome: 'closed' | 'taken' | 'ignored' | RegExp;
  counted?: Counted;
}

type OrReason<T> = T | string;

export interface ListenerDriver<F extends OptionFields = OptionFields> {
  definition: InputDefinition<F>;
  /** Datagrams have no connections: what is about those is left out. */
  transport: 'stream' | 'datagram';
  /** Options that all tests have; among them a limit of messages between 1 and 50 kB. */
  options: Readonly<Record<string, string>>;
  /** Parsers that these options name. */
  parsers?: readonly Parser[];
  /** A whole message, which becomes one record that holds the text. Several can follow each other on a connection. */
  message(text: string): Buffer;
  /** Longer than the limit. */
  size: OrReason<readonly Hostile[]>;
  /** A head that claims lengths or counts beyond all limits. */
  claims: OrReason<readonly Hostile[]>;
  /** Compressed, and beyond the limit once it is not. */
  expansion: OrReason<readonly Hostile[]>;
  /** Nests deep. */
  depth: OrReason<readonly Hostile[]>;
  /** A head, or a handshake, that does not end in time. */
  head: OrReason<Hostile>;
  /** A message that does not go on. */
  stall: OrReason<Hostile>;
  /** A whole message, and then nothing. */
  idle: OrReason<Hostile>;
  /** The beginning of a message for which there is no room in memory. */
  noRoom: OrReason<Hostile>;
  /** It can be encrypted. */
  tls: boolean;
}

/** For what comes on a busy machine too. Milliseconds. */
const WAIT_MS = 15_000;
/** What all reservations together may come to while somebody is fended off. Bytes. */
const MOST_RESERVED = 1_000_000;
const LOOPBACK = '127.0.0.1';

function until<T>(get: () => T, message: string) {
  return expect.poll(get, { message, timeout: WAIT_MS, interval: 5 });
}

/** An input that listens, and what comes of it. */
class Listening {
  readonly context;
  readonly collector = new Collector();
  port = 0;
  reserved = 0;
  peak = 0;
  private room = Number.POSITIVE_INFINITY;
  private readonly transport: ListenerDriver['transport'];
  private readonly emit: Emit = (tag, batch, receipt) => {
    const room = this.collector.emit(tag, batch, receipt);
    receipt?.release();
    return room;
  };

  constructor({ transport, parsers }: ListenerDriver) {
    this.transport = transport;
    this.context = {
      ...inputContext(parsers),
      reserve: (bytes: number) => this.reserve(bytes),
      drop: () => {},
    };
  }

  /** It is stopped and closed with the test. */
  async start(driver: ListenerDriver, written: Readonly<Record<string, string>>): Promise<this> {
    const options = optionsOf(driver.definition.options, { ...driver.options, ...written, port: '0' });
    const input = await driver.definition.create(options, this.context);
    onTestFinished(async () => {
      await input.stop();
      await input.close?.();
    });
    await input.start(this.emit);
    const said = this.context.log.lines.find(({ fields }) => fields['port'] !== undefined);
    this.port = Number(said?.fields['port']);
    return this;
  }

  private reserve(bytes: number): { release: () => void } | undefined {
    if (this.reserved + bytes > this.room) return undefined;
    this.reserved += bytes;
    this.peak = Math.max(this.peak, this.reserved);
    let held = bytes;
    return {
      release: () => {
        this.reserved -= held;
        held = 0;
      },
    };
  }

  /** From now on no more can be reserved than this. */
  limitRoom(bytes: number): void {
    this.room = bytes;
  }

  count(metric: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.context.metrics
      .counter(`tailrace_input_${metric}`, '')
      .sum({ name: this.context.name, ...labels });
  }

  async client(): Promise<Client> {
    const client = new Client(this.port, this.transport);
    await client.opened;
    return client;
  }

  has(text: string): boolean {
    return this.collector.records.some((record) => JSON.stringify(record).includes(text));
  }

  /** Sends a good message and waits for its record. */
  async expectTaken(client: Client, driver: ListenerDriver, text: string): Promise<void> {
    client.send(driver.message(text));
    await until(() => this.has(text), `the record of ${text}`).toBe(true);
  }
}

/** Who sends. */
class Client {
  /** What came back. */
  received = '';
  closed = false;
  readonly opened: Promise<unknown>;
  private readonly socket: Socket | ReturnType<typeof createSocket>;

  constructor(port: number, transport: ListenerDriver['transport']) {
    if (transport === 'datagram') {
      const socket = createSocket('udp4');
      socket.connect(port, LOOPBACK);
      this.opened = once(socket, 'connect');
      this.socket = socket;
      onTestFinished(() => void socket.close());
      return;
    }
    const socket = connect(port, LOOPBACK);
    this.socket = socket;
    this.opened = once(socket, 'connect');
    onTestFinished(() => void socket.destroy());
    socket.on('data', (piece: Buffer) => {
      this.received += piece.toString('latin1');
    });
    // A reset is an end too.
    socket.on('error', () => {});
    socket.on('end', () => {
      this.closed = true;
    });
    socket.on('close', () => {
      this.closed = true;
    });
  }

  send(bytes: Buffer): void {
    if ('write' in this.socket) this.socket.write(bytes);
    else this.socket.send(bytes);
  }
}

/** A test for each case; none where there is a reason. */
function each(
  kind: string,
  cases: OrReason<readonly Hostile[]>,
  run: (hostile: Hostile) => Promise<void>,
): void {
  for (const hostile of typeof cases === 'string' ? [] : cases)
    it(`${kind}: ${hostile.name}`, () => run(hostile));
}

/** The tests of a listener with this driver. */
export function describeListener<F extends OptionFields>(name: string, of: ListenerDriver<F>): void {
  const driver = of as unknown as ListenerDriver;
  const start = (written: Readonly<Record<string, string>> = {}): Promise<Listening> =>
    new Listening(driver).start(driver, written);

  /** What somebody does is fended off, while another who was there before and one who comes after have their records. */
  async function fendOff(
    hostile: Hostile,
    prepare: (listening: Listening) => void = () => {},
  ): Promise<void> {
    const listening = await start(hostile.options);
    const other = await listening.client();
    await listening.expectTaken(other, driver, 'before');
    prepare(listening);
    const client = await listening.client();
    const before = listening.collector.events.length;
    client.send(hostile.bytes);
    const { outcome, counted } = hostile;
    if (outcome === 'closed') await until(() => client.closed, 'closed').toBe(true);
    else if (outcome === 'taken')
      await expect
        .poll(() => listening.collector.events.length, { message: 'taken' })
        .toBeGreaterThan(before);
    else if (outcome !== 'ignored') await until(() => client.received, 'the answer').toMatch(outcome);
    if (counted !== undefined) await until(() => listening.count(...counted), counted[0]).toBeGreaterThan(0);
    listening.limitRoom(Number.POSITIVE_INFINITY);
    if (outcome === 'taken' || outcome === 'ignored') await listening.expectTaken(client, driver, 'behind');
    await listening.expectTaken(other, driver, 'beside');
    await listening.expectTaken(await listening.client(), driver, 'after');
    await until(() => listening.reserved, 'what stays reserved').toBe(0);
    expect(listening.peak).toBeLessThan(MOST_RESERVED);
    expect(listening.context.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  }

  describe(`${name} keeps the contract of listeners`, () => {
    const { size, claims, expansion, depth, head, stall, idle, noRoom } = driver;
    const one = (hostile: OrReason<Hostile>) => (typeof hostile === 'string' ? hostile : [hostile]);
    each('too long', size, fendOff);
    each('false claims', claims, fendOff);
    each('expansion', expansion, fendOff);
    each('depth', depth, fendOff);
    each('a head in time', one(head), slow);
    each('a message in time', one(stall), slow);
    each('idleness', one(idle), slow);
    each('no room', one(noRoom), (hostile) => fendOff(hostile, (listening) => listening.limitRoom(100)));

    /** As `fendOff`, but the time-outs would send the others away too. */
    async function slow(hostile: Hostile): Promise<void> {
      const listening = await start(hostile.options);
      const client = await listening.client();
      client.send(hostile.bytes);
      await until(() => client.closed, 'closed').toBe(true);
      if (hostile.outcome instanceof RegExp) expect(client.received).toMatch(hostile.outcome);
      const { counted } = hostile;
      if (counted !== undefined)
        await until(() => listening.count(...counted), counted[0]).toBeGreaterThan(0);
      await until(() => listening.reserved, 'what stays reserved').toBe(0);
      if (hostile.isAlone !== true) await listening.expectTaken(await listening.client(), driver, 'after');
    }

    it('listens on this machine alone, and warns of what others can reach', () => {
      const problems = (written: Record<string, string>) =>
        driver.definition.check?.(
          optionsOf(driver.definition.options, { ...driver.options, ...written }),
          [],
        ) ?? [];
      expect(problems({})).toEqual([]);
      for (const listen of ['0.0.0.0', '::', '192.0.2.1'])
        expect(problems({ listen })).toEqual([
          expect.objectContaining({
            key: 'listen',
            level: 'warning',
            message: expect.stringMatching(/other machines/),
          }),
        ]);
    });

    it('noise harms nobody', async () => {
      const listening = await start();
      const other = await listening.client();
      let state = 1;
      for (let round = 0; round < 30; round++) {
        const noise = Buffer.from(
          Array.from({ length: 1 + ((round * 37) % 400) }, () => {
            state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
            return state % 256;
          }),
        );
        const client = await listening.client();
        client.send(round % 3 === 0 ? Buffer.concat([driver.message('x').subarray(0, 9), noise]) : noise);
        await listening.expectTaken(other, driver, `round-${round}-`);
      }
      expect(listening.context.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
    });
  });

  if (driver.transport === 'stream') describeConnections(name, driver, start);
  if (driver.tls) describeTls(name, driver, start);
}

type Start = (written?: Readonly<Record<string, string>>) => Promise<Listening>;

function describeConnections(name: string, driver: ListenerDriver, start: Start): void {
  describe(`${name} keeps the contract of listeners for connections`, () => {
    it('connections over the limit are closed at once, and counted', async () => {
      const listening = await start({ max_connections: '2' });
      const first = await listening.client();
      await listening.expectTaken(first, driver, 'first');
      const second = await listening.client();
      await listening.expectTaken(second, driver, 'second');
      const third = await listening.client();
      await until(() => third.closed, 'closed').toBe(true);
      expect(listening.count('connections_refused_total')).toBe(1);
      await listening.expectTaken(first, driver, 'still');
    });

    it('who goes away in the middle leaves nothing behind', async () => {
      const listening = await start();
      const message = driver.message('half');
      for (let end = 1; end <= message.length / 2; end += Math.ceil(message.length / 10)) {
        const socket = connect(listening.port, LOOPBACK);
        await once(socket, 'connect');
        socket.end(message.subarray(0, end));
        await once(socket, 'close');
      }
      await until(() => listening.reserved, 'what stays reserved').toBe(0);
      expect(listening.has('half')).toBe(false);
      await listening.expectTaken(await listening.client(), driver, 'after');
    });
  });
}

function describeTls(name: string, driver: ListenerDriver, start: Start): void {
  describe(`${name} keeps the contract of listeners by TLS`, () => {
    it('a TLS handshake has to end in time, and is counted when it does not', async () => {
      const files = {
        tls: 'on',
        'tls.crt_file': tlsFile('server.pem'),
        'tls.key_file': tlsFile('server.key'),
      };
      const listening = await start({ ...files, 'net.accept_timeout': '100ms' });
      const silent = await listening.client();
      await until(() => silent.closed, 'closed').toBe(true);
      await until(() => listening.count('connections_failed_total'), 'failed').toBe(1);
      const socket = connectTls({
        port: listening.port,
        host: LOOPBACK,
        servername: 'localhost',
        ca: readFileSync(tlsFile('ca.pem')),
      });
      onTestFinished(() => void socket.destroy());
      await once(socket, 'secureConnect');
      socket.write(driver.message('encrypted'));
      await until(() => listening.has('encrypted'), 'the record').toBe(true);
    });
  });
}
