/**
 * The soak: for a long time, at a steady load, with files that rotate, a destination that fails in every way and one that does not,
 * and an agent that is stopped and killed now and then. Looks every second at its ledger, memory and descriptors, and at the end at
 * every line.
 *
 *   npm run bench:soak -- [--minutes 30] [--mb-per-second 5] [--seed N]
 *
 * Restarts fill the first third; then one process lives to the end, and its memory and descriptors must stay flat over the second half
 * of its life. The seed sets the weather and the restarts, not which single requests fail. Exit code 1 when a line is missing or torn,
 * a record was dropped or became a dead letter, or an equation of the ledger did not hold.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { RunningAgent } from './agent.ts';
import type { Metrics } from './metrics.ts';
import { Sink } from './sink.ts';
import type { Report } from './sink-protocol.ts';
import { seeded, SoakWeather } from './soak-weather.ts';
import { SoakWriter } from './soak-writer.ts';
import { trend } from './trend.ts';

const LOOK_MS = 1000;
/** Of the last process's life, what passes until it counts as warm: pools and the heap take minutes to reach their size. */
const WARM_SHARE = 0.5;
/** Between two restarts. Milliseconds. */
const RESTART_MS = { least: 15_000, most: 60_000 };
/** How long what is left may take at the end without anything moving. Milliseconds. */
const STANDSTILL_MS = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    'mb-per-second': { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const totalMs = Number(values.minutes) * 60_000;
const random = seeded(Number(values.seed));

const config = (directory: string, steady: number, stormy: number): string => `
service:
  flush: 0.5
  log_level: info
  grace: 2
  scheduler.base: 0.2
  scheduler.cap: 2
  storage.overflow.limit: 8G
  storage.overflow.min_free: 500M
pipeline:
  inputs:
    # Rotated files are found by the descriptors that are open, and after a restart by identity among their siblings.
    - name: tail
      alias: named
      path: ${directory}/named.log
      tag: soak.named
      read_from_head: true
    # Rotated files match the pattern.
    - name: tail
      alias: globbed
      path: ${directory}/globbed.log*
      tag: soak.globbed
      read_from_head: true
      storage.type: filesystem
  outputs:
    - name: http
      alias: steady
      match: '*'
      port: ${steady}
      format: json_lines
    - name: http
      alias: stormy
      match: '*'
      port: ${stormy}
      format: json_lines
      http.response_timeout: 5
`;

interface Look {
  /** Hours since the process started. */
  at: number;
  /** Bytes. */
  rss: number;
  descriptors: number;
  buffered: number;
  diskBytes: number;
}

class Soak {
  private readonly directory = mkdtempSync(join(tmpdir(), 'tailrace-soak-'));
  private readonly steady = new Sink('numbered');
  private readonly stormy = new Sink('numbered');
  private readonly weather = new SoakWeather(this.stormy, random);
  private reports: Report[] = [];
  private writers: SoakWriter[] = [];
  private agent: RunningAgent | undefined;
  /** Of the process that runs now. */
  private looks: Look[] = [];
  private scrapes = 0;
  private readonly restarts = { SIGTERM: 0, SIGKILL: 0 };
  private peakDisk = 0;
  private peakMemory = 0;
  private readonly wrong: string[] = [];

  async run(): Promise<boolean> {
    console.log(`seed ${values.seed}, ${values.minutes} minutes at ${values['mb-per-second']} MB/s`);
    try {
      await this.steady.open();
      await this.stormy.open();
      await this.ask();
      this.writers = ['named', 'globbed'].map(
        (stream) =>
          new SoakWriter({
            path: join(this.directory, `${stream}.log`),
            stream,
            bytesPerSecond: (Number(values['mb-per-second']) * 1e6) / 2,
            delivered: () => this.deliveredOf(stream),
          }),
      );
      for (const writer of this.writers) writer.start();
      this.start();
      this.weather.start();
      await this.live();
      await this.weather.stop();
      for (const writer of this.writers) await writer.stop();
      const seconds = await this.settle();
      await this.judge(seconds);
    } finally {
      await this.weather.stop();
      for (const writer of this.writers) await writer.stop();
      await this.agent?.stop('SIGKILL');
      this.steady.end();
      this.stormy.end();
      rmSync(this.directory, { recursive: true, force: true });
    }
    for (const problem of this.wrong) console.log(`WRONG: ${problem}`);
    return this.wrong.length === 0;
  }

  private start(): void {
    this.looks = [];
    this.agent = new RunningAgent(
      join(this.directory, 'agent'),
      config(this.directory, this.steady.port, this.stormy.port),
    );
  }

  /** Asks both destinations what they have. */
  private async ask(): Promise<void> {
    this.reports = await Promise.all([this.steady.report(), this.stormy.report()]);
  }

  /** All lines of a stream below this number are at both destinations. */
  private deliveredOf(stream: string): number {
    return Math.min(...this.reports.map(({ streams }) => streams[stream]?.below ?? 0));
  }

  private async look(): Promise<Metrics> {
    const agent = this.agent as RunningAgent;
    const metrics = await agent.metrics();
    this.scrapes++;
    const diskBytes = metrics.sum('tailrace_storage_file_bytes');
    const rss = agent.memory('VmRSS');
    this.peakDisk = Math.max(this.peakDisk, diskBytes);
    this.peakMemory = Math.max(this.peakMemory, agent.memory('VmHWM'));
    this.looks.push({
      at: (performance.timeOrigin + performance.now() - agent.startedAt) / 3_600_000,
      rss,
      descriptors: agent.descriptors,
      buffered: metrics.sum('tailrace_output_buffered_records'),
      diskBytes,
    });
    for (const family of [
      'tailrace_input_dropped_records_total',
      'tailrace_output_dropped_records_total',
      'tailrace_output_dead_lettered_records_total',
      'tailrace_storage_damaged_frames_total',
    ]) {
      const lost = metrics.sum(family);
      if (lost > 0 && !this.wrong.some((problem) => problem.startsWith(family)))
        this.wrong.push(`${family} is ${lost}`);
    }
    await this.ask();
    return metrics;
  }

  private async live(): Promise<void> {
    const begin = performance.now();
    const nextRestart = (): number =>
      performance.now() + RESTART_MS.least + random() * (RESTART_MS.most - RESTART_MS.least);
    let restartAt = nextRestart();
    let saidAt = begin;
    while (performance.now() - begin < totalMs) {
      await this.look();
      if (performance.now() - saidAt > 60_000) {
        saidAt = performance.now();
        this.say((saidAt - begin) / 60_000);
      }
      if (performance.now() > restartAt && performance.now() - begin < totalMs / 3) {
        const signal = this.restarts.SIGKILL < this.restarts.SIGTERM ? 'SIGKILL' : 'SIGTERM';
        this.restarts[signal]++;
        await this.agent?.stop(signal);
        this.start();
        restartAt = nextRestart();
      }
      await pause(LOOK_MS);
    }
  }

  private say(minutes: number): void {
    const { rss = 0, descriptors = 0, buffered = 0, diskBytes = 0 } = this.looks.at(-1) ?? {};
    const lines = this.writers.reduce((sum, writer) => sum + writer.lines, 0);
    console.log(
      `${minutes.toFixed(0)} min: ${lines} lines, ${buffered} records buffered, ${(diskBytes / 1e6).toFixed(0)} MB on disk, RSS ${(rss / 1e6).toFixed(0)} MB, ${descriptors} descriptors`,
    );
  }

  /** Waits until everything is at both destinations; returns the seconds that it took. */
  private async settle(): Promise<number> {
    const begin = performance.now();
    let movedAt = begin;
    let before = -1;
    for (;;) {
      const metrics = await this.look();
      const below = this.writers.reduce((sum, { stream }) => sum + this.deliveredOf(stream), 0);
      const lines = this.writers.reduce((sum, writer) => sum + writer.lines, 0);
      const now = performance.now();
      if (below === lines && metrics.sum('tailrace_output_buffered_records') === 0)
        return (now - begin) / 1000;
      if (below !== before) movedAt = now;
      before = below;
      if (now - movedAt > STANDSTILL_MS) {
        this.wrong.push(`${lines - below} of ${lines} lines are missing, and none has come for a minute`);
        return (now - begin) / 1000;
      }
      await pause(LOOK_MS);
    }
  }

  private async judge(settleSeconds: number): Promise<void> {
    const agent = this.agent as RunningAgent;
    const exit = await agent.stop('SIGTERM');
    if (exit.code !== 0) this.wrong.push(`the agent ended with ${JSON.stringify(exit)}`);
    const { lastLine } = agent;
    for (const writer of this.writers) {
      for (const [index, { streams }] of this.reports.entries()) {
        const { below = 0, beyond = 0 } = streams[writer.stream] ?? {};
        if (below !== writer.lines || beyond !== 0)
          this.wrong.push(
            `${index === 0 ? 'steady' : 'stormy'} has ${writer.stream} up to ${below} and ${beyond} lines beyond; ${writer.lines} were written`,
          );
      }
    }
    const [steady, stormy] = this.reports as [Report, Report];
    for (const { torn } of this.reports) if (torn > 0) this.wrong.push(`${torn} lines or requests are torn`);
    const last = this.looks.at(-1)?.at ?? 0;
    const warm = last * WARM_SHARE;
    const flat = this.looks.filter(({ at }) => at >= warm);
    const memory = trend(flat.map(({ at, rss }) => [at, rss / 1e6]));
    const descriptors = trend(flat.map((each) => [each.at, each.descriptors]));
    const lines = this.writers.reduce((sum, writer) => sum + writer.lines, 0);
    const say = (what: string, value: string): void => console.log(`| ${what} | ${value} |`);
    console.log('\n| | |\n|---|---|');
    say('lines written, at each destination', lines.toLocaleString('en-US'));
    say('rotations', this.writers.map(({ rotations }) => rotations).join(' + '));
    say('restarts', `${this.restarts.SIGTERM} SIGTERM, ${this.restarts.SIGKILL} SIGKILL`);
    say(
      'weather of the stormy one',
      Object.entries(this.weather.counts)
        .map(([kind, count]) => `${kind} ${count}`)
        .join(', '),
    );
    say('scrapes, ledger balanced in each', String(this.scrapes));
    say('doubles', `steady ${steady.doubles}, stormy ${stormy.doubles}`);
    say('most on disk', `${(this.peakDisk / 1e6).toFixed(0)} MB`);
    say('all delivered after the last line', `${settleSeconds.toFixed(0)} s`);
    say('peak RSS of all processes', `${(this.peakMemory / 1e6).toFixed(0)} MB`);
    say(
      'RSS of the last process when warm',
      `${memory.min.toFixed(0)}–${memory.max.toFixed(0)} MB over ${((last - warm) * 60).toFixed(0)} min, slope ${memory.slope.toFixed(1)} ± ${memory.error.toFixed(1)} MB/h`,
    );
    say(
      'descriptors',
      `${descriptors.min}–${descriptors.max}, slope ${descriptors.slope.toFixed(1)} ± ${descriptors.error.toFixed(1)} per hour`,
    );
    say('last line', lastLine.replaceAll('|', '/'));
    say('verdict', this.wrong.length === 0 ? 'nothing lost' : 'WRONG, see below');
  }
}

if (!(await new Soak().run())) process.exitCode = 1;
