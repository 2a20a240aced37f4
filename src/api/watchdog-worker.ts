/**
 * The watchdog's thread: sees that the main loop stands still, says so in the log and on `/health` and `/ready`, and ends the
 * process in the end, so that its supervisor starts it again.
 *
 * It depends on nothing that the main thread does: it reads shared memory, writes to the log's descriptor itself (`process.stderr`
 * of a worker goes through the main thread) and has sockets of its own.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { CELL } from '../telemetry/heartbeat.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { AgentLog } from '../telemetry/logger.ts';
import { StallClock } from './stall.ts';
import type { Front } from './watchdog-front.ts';
import type { FromWatchdog, LogTarget, Readiness, ToWatchdog, WatchdogData } from './watchdog-messages.ts';

/** When a start is over and its garbage can go. Milliseconds. */
const SETTLED_MS = 1000;

const { memory, limits, log: target, listen } = workerData as WatchdogData;
const cells = new Int32Array(memory);
const clock = new StallClock(limits);
const post = (message: FromWatchdog): void => parentPort?.postMessage(message, []);

let names: readonly string[] = [];
let { level } = target;
let opened: AgentLog | undefined;
let front: Front | undefined;
let readiness: Readiness = { ready: false, reasons: ['The agent is starting.'] };

function stage(): string {
  return names[Atomics.load(cells, CELL.stage)] ?? 'a stage without a name';
}

/** The log, opened when there is something to say: somebody may have moved the file away since the last time. */
function log(): AgentLog {
  opened ??= openLog(target);
  opened.reopen();
  opened.setLevel(level);
  return opened;
}

function openLog(options: LogTarget): AgentLog {
  try {
    return createLogger(options);
  } catch {
    return createLogger({ ...options, file: undefined });
  }
}

function look(): void {
  const change = clock.tick(Atomics.load(cells, CELL.beats), Atomics.load(cells, CELL.debugged) === 1);
  if (change === 'began') {
    log().error({ seconds: clock.seconds, stage: stage() }, 'The main loop stands still');
    front?.giveUpWaiting();
  } else if (change === 'over') {
    log().warn({ seconds: clock.lastSeconds }, 'The main loop goes on again');
  } else if (change === 'end') {
    log().error(
      { seconds: clock.seconds, stage: stage() },
      'The main loop has stood still for too long (watchdog.timeout): ending the process with SIGKILL, so that its supervisor starts it again',
    );
    // Nothing less: a handler would run on the loop that stands still.
    process.kill(process.pid, 'SIGKILL');
  }
}

/** What loading modules took: 2 MB. The launcher brings `gc`. */
function giveBackMemory(): void {
  const { gc } = globalThis as { gc?: (options: { type: 'major'; flavor: 'last-resort' }) => void };
  gc?.({ type: 'major', flavor: 'last-resort' });
}

parentPort?.on('message', (message: ToWatchdog) => {
  switch (message.kind) {
    case 'stages':
      names = message.names;
      break;
    case 'level':
      ({ level } = message);
      break;
    case 'ready':
      ({ readiness } = message);
      break;
    case 'answer':
      front?.answer(message.id, message.answer);
      break;
  }
});

try {
  if (listen !== undefined) {
    const { Front: Server } = await import('./watchdog-front.ts');
    front = new Server({
      clock,
      stage,
      readiness: () => readiness,
      ask: (id, request) => post({ kind: 'request', id, request }),
    });
    await front.listen(listen.host, listen.port);
  }
  setInterval(look, limits.tickMs);
  setTimeout(giveBackMemory, SETTLED_MS);
  post({ kind: 'started', port: front?.port });
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  post({ kind: 'refused', code, message });
}
