import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import systemd from '../../../plugins/inputs/systemd.ts';
import { SystemdInput } from '../../../plugins/inputs/systemd/input.ts';
import type { SystemdOptions } from '../../../plugins/inputs/systemd/input.ts';
import { compileMatches, thisMachine } from '../../../plugins/inputs/systemd/matches.ts';
import { compileUnitTag } from '../../../plugins/inputs/systemd/tags.ts';
import type { Emit, InputContext } from '../../../src/plugin.ts';
import { optionsOf } from '../../contract/support.ts';
import { open, workspace } from '../../state/harness.ts';
import { Collector, inputContext } from './collecting.ts';
import type { TestInputContext } from './collecting.ts';
import { numbered, StandIn } from './systemd/journal.ts';
import type { Written } from './systemd/journal.ts';

interface Opened {
  journal: StandIn;
  collector: Collector;
  context: TestInputContext;
  input: SystemdInput;
}

function inputOf(
  journal: StandIn,
  context: InputContext,
  options: Partial<SystemdOptions> = {},
  watchMs?: number,
): SystemdInput {
  return new SystemdInput(
    {
      command: journal.command,
      directory: undefined,
      namespace: undefined,
      matches: [],
      isFiltered: false,
      maxEntries: 5000,
      maxSize: 1_000_000,
      maxFields: 8000,
      lowercase: false,
      stripUnderscores: false,
      binary: 'text',
      readFromTail: false,
      ...options,
    },
    context,
    watchMs,
  );
}

/** Starts it on a stand-in; all is gone with the test. */
async function reading(
  entries: readonly Written[],
  options: Partial<SystemdOptions> = {},
  {
    before = () => {},
    watchMs = 60_000,
    collector = new Collector(),
  }: { before?: (journal: StandIn) => void; watchMs?: number; collector?: Collector } = {},
): Promise<Opened> {
  const journal = new StandIn(entries);
  before(journal);
  const context = inputContext();
  const input = inputOf(journal, context, options, watchMs);
  onTestFinished(async () => {
    await input.stop();
    journal.remove();
  });
  await input.start(collector.emit);
  return { journal, collector, context, input };
}

const messages = ({ records }: Collector): string[] =>
  (records as { MESSAGE: string }[]).map(({ MESSAGE }) => MESSAGE);
/** In the order of their numbers: tags have batches of their own. */
const sorted = (collector: Collector): number[] =>
  messages(collector)
    .map(Number)
    .toSorted((a, b) => a - b);
/** Looks until it is so. */
async function until(met: () => boolean): Promise<void> {
  while (!met()) await pause(10);
}

const upTo = (to: number, from = 0): number[] => Array.from({ length: to - from }, (_, n) => from + n);

const metric = ({ metrics }: TestInputContext, name: string): number =>
  metrics.counter(name, '').sum({ name: 'input.0' });

describe('reading', () => {
  it('gives what is there and what comes, with time and tag', async () => {
    const { journal, collector } = await reading(numbered(1, 4));
    await collector.reached(3);
    journal.append(numbered(4, 6));
    await collector.reached(5);
    expect(messages(collector)).toEqual(['1', '2', '3', '4', '5']);
    expect(collector.events[2]).toEqual({
      tag: 'test',
      record: { MESSAGE: '3', _SYSTEMD_UNIT: 'odd.service' },
      seconds: 1_764_000_000,
      nanos: 3000,
      metadata: undefined,
    });
  });

  it('asks for all boots, without a pager, from the head', async () => {
    const { journal, collector } = await reading(numbered(1, 2), {
      directory: '/some/where',
      matches: ['_PID=1', '+', '_PID=2'],
    });
    await collector.reached(1);
    expect(journal.followers).toEqual([
      '--no-pager --output=export --merge --directory=/some/where --follow --no-tail _PID=1 + _PID=2',
    ]);
  });

  it('makes batches of max_entries', async () => {
    const { collector } = await reading(numbered(1, 101), { maxEntries: 10 });
    await collector.reached(100);
    expect(collector.batches).toEqual(Array.from({ length: 10 }, () => 10));
  });

  it('puts the unit in place of * in the tag', async () => {
    const journal = new StandIn([...numbered(1, 3), { number: 3, fields: [['MESSAGE', '3']] }]);
    const collector = new Collector();
    const input = inputOf(journal, { ...inputContext(), tag: 'host.*' });
    await input.start(collector.emit);
    await collector.reached(3);
    expect(collector.events.map(({ tag }) => tag)).toEqual([
      'host.odd.service',
      'host.even.service',
      'host.unknown',
    ]);
    await input.stop();
    journal.remove();
  });

  it('flags and counts what was cut', async () => {
    const { collector, context } = await reading(
      [{ number: 1, fields: [['MESSAGE', 'x'.repeat(100_000)]] }],
      {
        maxSize: 1000,
      },
    );
    await collector.reached(1);
    expect(collector.events[0]?.metadata).toEqual({ truncated: true });
    expect(metric(context, 'tailrace_input_long_lines_total')).toBe(1);
  });

  it('reads no more while there is no room', async () => {
    const collector = new Collector();
    collector.fill();
    const entries = Array.from({ length: 4000 }, (_, n) => ({
      number: n + 1,
      fields: [
        ['MESSAGE', String(n)],
        ['PADDING', 'x'.repeat(1000)],
      ] as const,
    }));
    await reading(entries, { maxEntries: 100 }, { collector });
    // Until nothing more comes: what the pipe held when it was full, and not the rest of 4 MB.
    for (let before = -1; collector.events.length !== before || before === 0; await pause(200))
      before = collector.events.length;
    expect(collector.events.length).toBeLessThan(2000);
    collector.drain();
    await collector.reached(4000);
    expect(sorted(collector)).toEqual(upTo(4000));
  });
});

describe('journalctl', () => {
  it('that is not there fails the start, in plain words', async () => {
    const journal = new StandIn();
    journal.remove();
    await expect(inputOf(journal, inputContext()).start(() => undefined)).rejects.toThrow(
      /Reading the journal: ".*journalctl" cannot be run .* Install systemd's journalctl, or name it with journalctl_path/,
    );
  });

  it.each(['die', 'garbage'] as const)(
    'that does "%s" is started again, and nothing comes twice',
    async (trick) => {
      const { collector, context, journal } = await reading(
        numbered(1, 101),
        {},
        { before: (each) => each.trick(trick) },
      );
      await collector.reached(100);
      expect(sorted(collector)).toEqual(upTo(101, 1));
      expect(metric(context, 'tailrace_input_journalctl_restarts_total')).toBe(1);
      expect(journal.followers.length).toBe(2);
      const line = context.log.lines.find(({ level }) => level === 'error');
      expect(line?.message).toMatch(/cannot be read just now/);
      expect(String(line?.fields['error'])).toMatch(
        trick === 'die' ? /code 1: Dying as asked/ : /name of a field is too long/,
      );
    },
  );

  it('that hangs is found out and killed', async () => {
    const { collector, context } = await reading(
      numbered(1, 11),
      {},
      { before: (journal) => journal.trick('hang'), watchMs: 100 },
    );
    await collector.reached(10);
    expect(sorted(collector)).toEqual(upTo(11, 1));
    expect(String(context.log.lines.find(({ level }) => level === 'error')?.fields['error'])).toMatch(
      /gives nothing though the journal has more/,
    );
  });

  it('that has nothing to give is left alone', async () => {
    const { collector, context, journal } = await reading(numbered(1, 3), {}, { watchMs: 500 });
    await collector.reached(2);
    // A look, which finds nothing.
    await until(() => journal.calls.some((call) => call.includes('--lines=2')));
    journal.append(numbered(3, 4));
    await collector.reached(3);
    expect(metric(context, 'tailrace_input_journalctl_restarts_total')).toBe(0);
    expect(journal.followers.length).toBe(1);
  });

  it('that may not read says so, and is tried until it may', async () => {
    const { collector, context, journal } = await reading(
      numbered(1, 3),
      { readFromTail: true },
      { before: (each) => each.deny(true) },
    );
    await until(() => context.log.lines.some(({ level }) => level === 'error'));
    expect(String(context.log.lines.find(({ level }) => level === 'error')?.fields['error'])).toMatch(
      /insufficient permissions.*the group systemd-journal/s,
    );
    journal.deny(false);
    await until(() => journal.followers.length > 0);
    journal.append(numbered(3, 4));
    await collector.reached(1);
    expect(messages(collector)).toEqual(['3']);
  });
});

describe('entries that are gone', () => {
  it('are counted by the numbers of their stream, from the first start on', async () => {
    const now = Date.now() * 1000;
    const { collector, context, journal } = await reading([
      { number: 1, fields: [['MESSAGE', '1']] },
      { number: 9, fields: [['MESSAGE', '9']] },
    ]);
    await collector.reached(2);
    journal.append([{ number: 15, micros: now + 1e9, fields: [['MESSAGE', '15']] }]);
    await collector.reached(3);
    // Those before 9 went before anybody was there to read them.
    expect(metric(context, 'tailrace_input_lost_records_total')).toBe(5);
  });

  it('are no gaps that filters make', async () => {
    const now = Date.now() * 1000 + 1e9;
    const { collector, context } = await reading(
      [1, 5].map((number) => ({ number, micros: now, fields: [['MESSAGE', '1']] as const })),
      { isFiltered: true, matches: ['A=1'] },
    );
    await collector.reached(2);
    expect(metric(context, 'tailrace_input_lost_records_total')).toBe(0);
  });
});

describe('starting again', () => {
  /** An input with a state; returns what stops it. */
  async function run(
    journal: StandIn,
    directory: string,
    emit: Emit,
    options: Partial<SystemdOptions> = {},
  ): Promise<{ context: TestInputContext; end: () => Promise<void> }> {
    const { state } = open(directory);
    const context = { ...inputContext(), store: state.forInput('systemd') };
    const input = inputOf(journal, context, options);
    await input.start(emit);
    return {
      context,
      async end() {
        await input.stop();
        state.writeMarks();
        state.close();
      },
    };
  }

  /** Takes all, as a pipeline does whose outputs acknowledge at once. */
  function acknowledging(collector: Collector): Emit {
    return (tag, batch) => {
      void collector.emit(tag, batch);
      batch.source?.advance(batch.base + (batch.stops[batch.length - 1] as number));
      return undefined;
    };
  }

  function standIn(entries: readonly Written[]): StandIn {
    const journal = new StandIn(entries);
    onTestFinished(() => journal.remove());
    return journal;
  }

  it('goes on behind what was delivered', async () => {
    const journal = standIn(numbered(1, 11));
    const directory = workspace();
    const first = new Collector();
    const run1 = await run(journal, directory, acknowledging(first));
    await first.reached(10);
    await run1.end();
    journal.append(numbered(11, 16));
    const second = new Collector();
    const run2 = await run(journal, directory, acknowledging(second));
    await second.reached(5);
    expect(sorted(second)).toEqual(upTo(16, 11));
    await run2.end();
  });

  it('reads again what was not', async () => {
    const journal = standIn(numbered(1, 11));
    const directory = workspace();
    const first = new Collector();
    const run1 = await run(journal, directory, first.emit);
    await first.reached(10);
    await run1.end();
    const second = new Collector();
    const run2 = await run(journal, directory, acknowledging(second));
    await second.reached(10);
    expect(sorted(second)).toEqual(upTo(11, 1));
    await run2.end();
  });

  it('begins at the end with read_from_tail, but only once', async () => {
    const journal = standIn(numbered(1, 11));
    const directory = workspace();
    const run1 = await run(journal, directory, () => undefined, { readFromTail: true });
    await until(() => journal.followers.length > 0);
    await run1.end();
    journal.append(numbered(11, 14));
    const second = new Collector();
    const run2 = await run(journal, directory, acknowledging(second), { readFromTail: true });
    await second.reached(3);
    expect(sorted(second)).toEqual(upTo(14, 11));
    await run2.end();
  });

  it('counts what vacuum took meanwhile, and goes on with the oldest', async () => {
    const journal = standIn(numbered(1, 11));
    const directory = workspace();
    const first = new Collector();
    const run1 = await run(journal, directory, acknowledging(first));
    await first.reached(10);
    await run1.end();
    const later = Date.now() * 1000 + 1e9;
    journal.replace(numbered(21, 24).map((entry) => ({ ...entry, micros: later + entry.number })));
    const second = new Collector();
    const run2 = await run(journal, directory, acknowledging(second));
    await second.reached(3);
    expect(sorted(second)).toEqual([21, 22, 23]);
    expect(metric(run2.context, 'tailrace_input_lost_records_total')).toBe(10);
    expect(run2.context.log.lines.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/not in the journal any more/),
    );
    await run2.end();
  });

  it('reads a journal from its head of which an older state was put back', async () => {
    const journal = standIn(numbered(1, 11));
    const directory = workspace();
    const first = new Collector();
    const run1 = await run(journal, directory, acknowledging(first));
    await first.reached(10);
    await run1.end();
    journal.replace(numbered(1, 5));
    const second = new Collector();
    const run2 = await run(journal, directory, acknowledging(second));
    await second.reached(4);
    expect(run2.context.log.lines.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/older state of it was put back/),
    );
    journal.append(numbered(5, 7));
    await second.reached(6);
    await run2.end();
    journal.append(numbered(7, 8));
    const third = new Collector();
    const run3 = await run(journal, directory, acknowledging(third));
    await third.reached(1);
    expect(sorted(third)).toEqual([7]);
    await run3.end();
  });

  it('by a reload goes on behind what is still under way', async () => {
    const journal = standIn(numbered(1, 11));
    const { state } = open(workspace());
    const context = { ...inputContext(), store: state.forInput('systemd') };
    const first = new Collector();
    const old = inputOf(journal, context);
    // Nothing of it is acknowledged.
    await old.start(first.emit);
    await first.reached(10);
    await old.stop();
    journal.append(numbered(11, 13));
    const second = new Collector();
    const next = inputOf(journal, context, { lowercase: true });
    await next.start(second.emit);
    await second.reached(2);
    await next.stop();
    expect(second.records).toMatchObject([{ message: '11' }, { message: '12' }]);
  });
});

describe('options', () => {
  const check = (written: Record<string, string | string[]>) =>
    systemd.check?.(optionsOf(systemd.options, written), []) ?? [];

  it('take filters as journalctl does', () => {
    expect(check({ systemd_filter: ['_SYSTEMD_UNIT=a.service', 'PRIORITY=3'] })).toEqual([]);
    for (const filter of ['/usr/bin/x', '--file=/etc/shadow', '_pid=1', '__CURSOR=1', '=x', '+'])
      expect(check({ systemd_filter: filter })).toMatchObject([{ key: 'systemd_filter', index: 0 }]);
    expect(check({ systemd_filter: ['A=1', 'B=1', 'A=2'], systemd_filter_type: 'and' })).toMatchObject([
      { index: 2, level: 'warning' },
    ]);
    expect(compileMatches(['A=1', 'B=2'], 'or', undefined)).toEqual(['A=1', '+', 'B=2']);
    expect(compileMatches(['A=1', 'B=2'], 'or', 'M=x')).toEqual(['A=1', 'M=x', '+', 'B=2', 'M=x']);
    expect(compileMatches(['A=1', 'B=2'], 'and', 'M=x')).toEqual(['A=1', 'B=2', 'M=x']);
    expect(compileMatches([], 'or', 'M=x')).toEqual(['M=x']);
  });

  it('refuse namespaces that are none, or go with a directory', () => {
    expect(check({ journal_namespace: 'my-app' })).toEqual([]);
    expect(check({ journal_namespace: '../x' })).toMatchObject([{ key: 'journal_namespace' }]);
    expect(check({ journal_namespace: 'x', path: '/var/log/journal' })).toMatchObject([
      { key: 'journal_namespace' },
    ]);
  });

  it('leave out other machines where they can', () => {
    expect(thisMachine('/nonexistent')).toBeUndefined();
    expect(thisMachine(import.meta.filename)).toBeUndefined();
  });

  it('make tags of units, and of nothing else', () => {
    const tagOf = compileUnitTag('a.*.*');
    expect(tagOf('user@1000.service')).toBe('a.user@1000.service.*');
    expect(tagOf(undefined)).toBe('a.unknown.*');
    expect(tagOf('a\nb')).toBe('a.unknown.*');
    expect(tagOf('x'.repeat(300))).toBe('a.unknown.*');
    expect(compileUnitTag('$&')('x')).toBe('$&');
  });
});
