/** Sends syslog messages at an even pace, in a process of its own: `syslog-sender.ts tcp|udp PORT FORMAT MESSAGES PER_SECOND`. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const TICK_MS = 5;
/** Datagrams between two looks at the socket. */
const BURST = 50;

const TEXT =
  'GET /api/v1/orders/4711?expand=items HTTP/1.1 200 5316 "https://shop.example.com/cart" upstream 10.1.2.3:8080 took 0.042 s';

const FORMATS: Readonly<Record<string, (index: number) => string>> = {
  rfc3164: (index) => `<134>Nov 27 12:34:${second(index)} web-7 nginx[4242]: ${TEXT}`,
  rfc5424: (index) =>
    `<134>1 2026-11-27T12:34:${second(index)}.123456+00:00 web-7.example.com nginx 4242 access [req@32473 id="a1b2c3d4" user="anna"] ${TEXT}`,
};

function second(index: number): string {
  return String(Math.floor(index / 1000) % 60).padStart(2, '0');
}

const [protocol, port, format = '', count, rate] = process.argv.slice(2);
const make = FORMATS[format];
if (make === undefined) throw new Error(`There is no format ${format}.`);
const total = Number(count);
const perTick = (Number(rate) * TICK_MS) / 1000;
const prepared = Array.from({ length: 60_000 }, (_, index) => Buffer.from(`${make(index)}\n`));

let sent = 0;
const startedAt = performance.now();

/** How many may be sent now. */
function due(): number {
  const ticks = (performance.now() - startedAt) / TICK_MS;
  return Math.min(total, Math.ceil(ticks * perTick)) - sent;
}

function isDone(): boolean {
  return sent >= total;
}

function next(): Buffer {
  return prepared[sent++ % prepared.length] as Buffer;
}

if (protocol === 'tcp') {
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  while (!isDone()) {
    const now = due();
    if (now > 0 && !socket.write(Buffer.concat(Array.from({ length: now }, next))))
      await once(socket, 'drain');
    await pause(1);
  }
  socket.end();
  socket.resume();
  await once(socket, 'close');
} else {
  const socket = createSocket('udp4');
  socket.connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  while (!isDone()) {
    let now = due();
    while (now > 0) {
      const burst = Math.min(now, BURST);
      await new Promise((resolve) => {
        for (let index = 1; index < burst; index++) socket.send(next());
        socket.send(next(), resolve);
      });
      now -= burst;
    }
    await pause(1);
  }
  socket.close();
}
process.stdout.write(`${((performance.now() - startedAt) / 1000).toFixed(3)}\n`);
