/** `tailrace.io/multiline`: lines that belong together become one record, whatever comes between them. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import definition from '../../../../plugins/inputs/kubernetes_logs.ts';
import { KubeStandIn } from '../../../support/kube-api.ts';
import { Kubelet } from '../../../support/kubelet.ts';
import type { LoggedContainer } from '../../../support/kubelet.ts';
import { createParser } from '../../parsers/parsing.ts';
import { tail, workspace } from '../tail/harness.ts';
import type { Surroundings, Tail, TailEvent } from '../tail/harness.ts';
import {
  amount,
  faultsOf,
  fragment,
  fragments,
  live,
  wholeRecords,
  someLines,
  steps,
} from '../tail/histories.ts';

const parsers = {
  /** `#1 …` */
  head: createParser({ name: 'head', format: 'regex', regex: String.raw`^#(?<number>\d+)` }),
  /** `!…` */
  shout: createParser({ name: 'shout', format: 'regex', regex: '^!(?<text>.*)' }),
  whole: createParser({ name: 'whole', format: 'regex', regex: String.raw`^#(?<number>\d+)(?<rest>[^$]*)$` }),
};
const BOTH = { 'tailrace.io/multiline': 'head' };

const AMOUNT = amount(15);

let second = 0;
function time(): string {
  return `2026-11-27T10:00:${String(second++ % 60).padStart(2, '0')}.5Z`;
}

function cri(stream: string, flag: string, text: string): string {
  return `${time()} ${stream} ${flag} ${text}\n`;
}

const out = (...lines: string[]): string => lines.map((text) => cri('stdout', 'F', text)).join('');
const err = (...lines: string[]): string => lines.map((text) => cri('stderr', 'F', text)).join('');

/** A pod with one container. */
class Pod {
  readonly root = workspace();
  readonly api = new KubeStandIn();
  readonly log: LoggedContainer;

  private constructor() {
    this.log = new Kubelet(this.root).start({ namespace: 'shop', pod: 'web' });
  }

  static async open(annotations: Record<string, string>): Promise<Pod> {
    const pod = new Pod();
    await pod.api.open();
    onTestFinished(() => pod.api.close());
    pod.say(annotations);
    return pod;
  }

  say(annotations: Record<string, string>): void {
    const { namespace, pod: name, uid, container, id } = this.log;
    this.api.putPod({ namespace, name, uid, annotations, containers: { [container]: id } });
  }

  write(content: string): void {
    appendFileSync(this.log.file, content);
  }

  start(options: Record<string, string> = {}, surroundings: Surroundings = {}): Promise<Tail> {
    return tail(
      {
        path: join(this.root, 'containers', '*.log'),
        allowed_roots: this.root,
        kube_url: this.api.url,
        kube_node_name: 'node-1',
        annotations: 'off',
        'k8s-logging.parser': 'on',
        multiline_flush: '60',
        ...options,
      },
      { definition, parsers, state: join(this.root, 'state'), ...surroundings },
    );
  }
}

/** What is read of this content, to its end. */
async function read(
  content: string,
  annotations: Record<string, string> = BOTH,
  options: Record<string, string> = {},
): Promise<Tail> {
  const pod = await Pod.open(annotations);
  pod.write(content);
  const run = await pod.start({ exit_on_eof: 'on', ...options }, { state: undefined });
  await run.done;
  return run;
}

const texts = (events: readonly TailEvent[]): unknown[] => events.map(({ record }) => record['log']);
const flags = (run: Tail): unknown[] => run.events.map(({ metadata }) => metadata?.['partial']);

/** Each has bytes of its own: a destination can tell them apart, and what is settled of one says nothing of another. */
function expectDistinct({ events }: Tail): void {
  const places = events.map(({ start, stop }) => [start, stop] as const).toSorted(([x], [y]) => x - y);
  for (const [index, [start, stop]] of places.entries()) {
    expect(stop).toBeGreaterThan(start);
    expect(places[index + 1]?.[0] ?? stop).toBeGreaterThanOrEqual(stop);
  }
}

describe('lines from one that the parser takes up to the next', () => {
  it('are one record with the fields of the first of them', async () => {
    second = 0;
    const run = await read(out('before', 'any', '#1 a', ' b', '', ' c', '#2 d', '#3 e', ' f'));
    expect(run.lines).toEqual(['before', 'any', '#1 a\n b\n\n c', '#2 d', '#3 e\n f']);
    expect(run.events[2]?.record).toMatchObject({
      time: '2026-11-27T10:00:02.5Z',
      stream: 'stdout',
      _p: 'F',
      kubernetes: { pod_name: 'web' },
    });
    expect(flags(run)).toEqual([undefined, undefined, undefined, undefined, undefined]);
    expect(run.kept).toBe(0);
    expectDistinct(run);
  });

  it('are joined by stream, whatever comes between them', async () => {
    const run = await read(
      out('#1 a') + err('#2 x') + out(' b') + err(' y', ' z') + out(' c', '#3 d') + err('#4 w') + out(' e'),
    );
    expect(run.lines.toSorted()).toEqual(['#1 a\n b\n c', '#2 x\n y\n z', '#3 d\n e', '#4 w']);
    expect(run.metric('partial_records_total')).toBe(0);
    expectDistinct(run);
  });

  it('are of the stream that the pod names; those of the other go straight on', async () => {
    const run = await read(out('#1 a') + err('#2 x', ' y') + out(' b', '#3 c'), {
      'tailrace.io/multiline_stdout': 'head',
    });
    expect(run.lines).toEqual(['#2 x', ' y', '#1 a\n b', '#3 c']);
  });

  it('are of the container that it names, each stream with a parser of its own', async () => {
    const run = await read(out('#1 a', '!b') + err('!c', '#2 d', '!e'), {
      'tailrace.io/multiline': 'shout',
      'tailrace.io/multiline_stdout-main': 'head',
      'tailrace.io/multiline_stderr-other': 'head',
    });
    expect(run.lines.toSorted()).toEqual(['!c\n#2 d', '!e', '#1 a\n!b']);
  });

  it('may each come in parts', async () => {
    const run = await read(
      cri('stdout', 'P', '#1 ') +
        cri('stderr', 'F', '#2 x') +
        cri('stdout', 'F', 'a') +
        cri('stdout', 'P', ' b') +
        cri('stderr', 'P', ' y') +
        cri('stdout', 'P', '#no') +
        cri('stdout', 'F', '!') +
        cri('stderr', 'F', 'z') +
        cri('stdout', 'P', '#') +
        cri('stdout', 'F', '3 c'),
    );
    expect(run.lines.toSorted()).toEqual(['#1 a\n b#no!', '#2 x\n yz', '#3 c']);
    expect(run.metric('partial_records_total')).toBe(0);
    expect(run.kept).toBe(0);
    expectDistinct(run);
  });

  it('may be those of Docker, which have their line feeds', async () => {
    const entry = (stream: string, log: string): string =>
      `${JSON.stringify({ log, stream, time: time() })}\n`;
    const run = await read(
      entry('stdout', '#1 a\n') +
        entry('stderr', '#2 x\n') +
        entry('stdout', ' b, ') +
        entry('stdout', 'c\n') +
        entry('stdout', '#3 d\n'),
      { 'tailrace.io/multiline': 'whole' },
    );
    expect(run.lines.toSorted()).toEqual(['#1 a\n b, c\n', '#2 x\n', '#3 d\n']);
  });

  it('are joined before the parser of the pod takes the text, and before quotas count it', async () => {
    const run = await read(
      out('#1 a', ' b', '#2 c'),
      { ...BOTH, 'tailrace.io/parser': 'whole', 'tailrace.io/rate-limit': '1/h' },
      { merge_log: 'on', 'k8s-logging.exclude': 'on' },
    );
    expect(run.events[0]?.record).toMatchObject({ log: '#1 a\n b', number: '1', rest: ' a\n b' });
    expect(run.drops).toEqual({ pod_rate_limit: 1 });
  });

  it('are torn, and flagged, by a line that is of no container', async () => {
    const run = await read(`${out('#1 a')}nonsense\n${out(' b', '#2 c')}`);
    expect(run.lines).toEqual(['#1 a', 'nonsense', ' b', '#2 c']);
    expect(flags(run)).toEqual([true, undefined, undefined, undefined]);
    expect(run.metric('partial_records_total', { reason: 'interrupted' })).toBe(1);
  });
});

describe('a record of several lines', () => {
  it('ends by waiting, and what comes later is a record of its own', async () => {
    const pod = await Pod.open(BOTH);
    pod.write(out('#1 a', ' b'));
    const run = await pod.start({ multiline_flush: '0.1' });
    await run.reached(1);
    pod.write(out(' c', ' d', '#2 e'));
    await run.reached(3);
    expect(run.lines).toEqual(['#1 a\n b', ' c\n d', '#2 e']);
    expect(flags(run)).toEqual([undefined, undefined, undefined]);
    expect(run.metric('partial_records_total')).toBe(0);
    await run.idle();
  });

  it('is cut between two lines where it grows too large: flagged, and nothing is left out', async () => {
    const line = `-${'x'.repeat(10_000)}`;
    const run = await read(out('#1', ...Array.from({ length: 20 }, () => line), '#2'), BOTH, {
      multiline_buffer_limit: '50k',
    });
    expect(run.lines.join('\n')).toBe(['#1', ...Array.from({ length: 20 }, () => line), '#2'].join('\n'));
    expect(run.lines.every((text) => String(text).length < 51_200)).toBe(true);
    const cuts = run.metric('partial_records_total', { reason: 'size' });
    expect(cuts).toBeGreaterThan(3);
    expect(flags(run).filter((flag) => flag === true)).toHaveLength(cuts);
    expectDistinct(run);
  });

  it('goes on before a line in parts that grows too large', async () => {
    const run = await read(
      out('#1') +
        cri('stdout', 'P', 'x'.repeat(30_000)).repeat(2) +
        cri('stdout', 'F', 'y') +
        out(' b', ' c', '#2'),
      BOTH,
      { multiline_buffer_limit: '50k' },
    );
    expect(run.lines).toEqual(['#1', 'x'.repeat(60_000), 'y', ' b\n c', '#2']);
    expect(flags(run)).toEqual([true, true, true, undefined, undefined]);
    expect(run.kept).toBe(0);
  });

  it('goes on as it is where too much is held', async () => {
    const pod = await Pod.open(BOTH);
    const run = await pod.start();
    run.mayKeep = 1000;
    pod.write(out(`#1 ${'x'.repeat(2000)}`, ' b', '#2'));
    await run.until(() => run.events.length > 0 && run.kept > 0);
    expect(run.events[0]?.metadata).toEqual({ partial: true });
    expect(run.kept).toBeLessThan(1000);
  });

  it('holds the mark back, and is whole after a restart', async () => {
    for (const end of ['stop', 'kill'] as const) {
      const pod = await Pod.open(BOTH);
      const head = out('#1 a') + err('#2 x');
      pod.write(head + out(' b') + err('#3 y'));
      const first = await pod.start();
      await first.reached(1);
      expect(first.lines).toEqual(['#2 x']);
      expect(first.position).toBe(0);
      first.writeMarks();
      await first[end]();
      pod.write(out(' c', '#4 d') + err('#5 z'));
      const again = await pod.start();
      await again.until(() => again.sink.delivered.length >= 2);
      expect(texts(again.sink.delivered).toSorted()).toEqual(['#1 a\n b\n c', '#3 y']);
      await again.stop();
    }
  });

  it('of which the rest came after it went on is not taken for settled after a crash', async () => {
    const pod = await Pod.open({ 'tailrace.io/multiline_stdout': 'head' });
    pod.write(out('#1 a') + err('x') + out(' b'));
    const first = await pod.start({ multiline_flush: '0.1' }, { keepBack: true });
    await first.reached(2);
    pod.write(out(' c', '#2 d'));
    await first.reached(3);
    expect(first.lines).toEqual(['x', '#1 a\n b', ' c']);
    // Out of order: the rest is acknowledged, what it belongs to is not.
    first.sink.settleSome((index) => index === 2);
    first.writeMarks();
    await first.kill();
    const again = await pod.start();
    await again.until(() => again.sink.delivered.length >= 2);
    expect(texts(again.sink.delivered)).toEqual(['x', '#1 a\n b\n c']);
  });

  it('is not taken for settled with what is settled between its lines, wherever it ends the next time', async () => {
    const pod = await Pod.open({ 'tailrace.io/multiline_stdout': 'head' });
    pod.write(out('#1') + err('x') + out(' a') + err('y') + out(' b') + err('z'));
    const first = await pod.start();
    await first.reached(3);
    first.writeMarks();
    await first.kill();
    const again = await pod.start({ multiline_buffer_limit: '340' });
    await again.reached(4);
    expect(texts(again.sink.delivered)).toEqual(['#1\n a']);
  });

  it.each(['in one file', 'over a rotation'])(
    'is not taken for settled with its last line, which was a record before the pod asked for this: %s',
    async (where) => {
      const pod = await Pod.open({});
      pod.write(out('#1 a'));
      const first = await pod.start({}, { keepBack: true });
      await first.reached(1);
      if (where === 'over a rotation') pod.log.rotate();
      pod.write(err('x'));
      await first.reached(2);
      pod.write(out(' b'));
      await first.reached(3);
      first.sink.settleSome((batch) => batch === 2);
      first.writeMarks();
      await first.kill();
      pod.say(BOTH);
      pod.write(out('#2 c') + err('#3 y'));
      const again = await pod.start({}, { keepBack: true });
      await again.reached(2);
      again.sink.settleSome((batch) => again.events[batch]?.record['stream'] === 'stdout');
      expect(texts(again.sink.delivered)).toEqual(['#1 a\n b']);
      // With it all of its lines are settled, should the pod change its mind.
      again.writeMarks();
      await again.kill();
      pod.say({});
      const last = await pod.start();
      await last.until(() => last.sink.delivered.length >= 3);
      expect(texts(last.sink.delivered)).toEqual(['x', '#2 c', '#3 y']);
    },
  );

  it('is not sent again where it was settled, and something before it was not', async () => {
    const pod = await Pod.open(BOTH);
    pod.write(err('x', 'y') + out('#1 a') + err('z') + out(' b', '#2 c'));
    const first = await pod.start({}, { keepBack: true });
    await first.reached(4);
    first.sink.settleSome((index) => index > 0);
    first.writeMarks();
    await first.kill();
    const again = await pod.start();
    await again.reached(4);
    expect(texts(again.sink.delivered)).not.toContain('#1 a\n b');
  });

  it('reaches over a rotation, a line in parts within it as well', async () => {
    const pod = await Pod.open(BOTH);
    pod.write(out('#1 a') + cri('stdout', 'P', ' b'));
    const run = await pod.start({}, { keepBack: true });
    await run.until(() => run.kept > 0);
    pod.log.rotate();
    pod.write(err('#2 x') + cri('stdout', 'F', 'c') + out(' d', '#3 e') + err('#4 y'));
    await run.reached(2);
    expect(run.lines.toSorted()).toEqual(['#1 a\n bc\n d', '#2 x']);
    expect(flags(run)).toEqual([undefined, undefined]);
    // The mark of the old file waits for the record, and so does that of the new one.
    run.sink.settleSome((index) => run.events[index]?.record['stream'] === 'stderr');
    run.writeMarks();
    expect(run.positions).toEqual([0, 0]);
    run.sink.settle();
    run.writeMarks();
    expect(Math.min(...run.positions)).toBeGreaterThan(0);
  });

  it('reaches over a rotation, and is whole after a crash before which all behind it was settled', async () => {
    const pod = await Pod.open(BOTH);
    pod.write(out('#1 a'));
    const first = await pod.start({}, { keepBack: true });
    await first.until(() => first.kept > 0);
    pod.log.rotate();
    pod.write(err('#2 x') + out(' b', '#3 c', '#4 d') + err('#5 y'));
    await first.reached(3);
    expect(first.lines).toEqual(['#1 a\n b', '#3 c', '#2 x']);
    first.sink.settleSome((index) => index > 0);
    first.writeMarks();
    await first.kill();
    const again = await pod.start();
    await again.reached(3);
    expect(texts(again.sink.delivered)).toEqual(['#1 a\n b']);
  });

  it('ends with its container', async () => {
    const pod = await Pod.open(BOTH);
    pod.write(out('#1 a', ' b'));
    const run = await pod.start({ multiline_flush: '0.1' });
    await run.until(() => run.kept > 0);
    pod.log.remove();
    await run.reached(1);
    expect(run.lines).toEqual(['#1 a\n b']);
    expect(flags(run)).toEqual([undefined]);
    await run.until(() => run.metric('open_files') === 0);
  });
});

describe('the annotation', () => {
  it.each([
    ['forbidden', BOTH, { 'k8s-logging.parser': 'off' }],
    ['namespace', BOTH, { 'k8s-logging.namespaces': 'bank' }],
    ['parser', BOTH, { 'k8s-logging.parsers': 'shout' }],
    ['parser', { 'tailrace.io/multiline': 'nobody' }, {}],
  ])('has no effect where it is refused: %s', async (reason, annotations, options) => {
    const pod = await Pod.open(annotations);
    pod.write(out('#1 a', ' b'));
    const run = await pod.start({ exit_on_eof: 'on', ...options }, { state: undefined });
    await run.done;
    expect(run.lines).toEqual(['#1 a', ' b']);
    const refused = run.metrics.families.get('tailrace_kubernetes_refused_annotations_total');
    expect(refused !== undefined && 'sum' in refused && refused.sum({ reason })).toBe(1);
  });

  it('may come, change and go while the log is read', async () => {
    const pod = await Pod.open({});
    const run = await pod.start({ annotations: 'on' });
    const says = async (annotations: Record<string, string>): Promise<void> => {
      const { length } = run.events;
      pod.say(annotations);
      // What is written to the other stream tells when it is known.
      await run.until(() => {
        pod.write(err('.'));
        return run.events.slice(length).some(({ record }) => {
          const { annotations: known = {} } = record['kubernetes'] as { annotations?: object };
          return JSON.stringify(known) === JSON.stringify(annotations);
        });
      });
    };
    const lines = (): unknown[] => run.lines.filter((text) => text !== '.');
    pod.write(out('#1 a', ' b'));
    await run.until(() => lines().length === 2);
    await says({ 'tailrace.io/multiline_stdout': 'head' });
    pod.write(out('#2 c', ' d'));
    await run.until(() => run.kept > 0);
    await says({ 'tailrace.io/multiline_stdout': 'shout' });
    pod.write(out('#e', '!f', ' g'));
    await run.until(() => lines().length === 3);
    expect(lines().at(-1)).toBe('#2 c\n d\n#e');
    await says({});
    await run.until(() => lines().length === 4);
    expect(lines().at(-1)).toBe('!f\n g');
    expect(run.events.find(({ record }) => record['log'] === '!f\n g')?.metadata).toEqual({ partial: true });
    pod.write(out(' h', '!i'));
    await run.until(() => lines().length === 6);
    expect(lines().slice(4)).toEqual([' h', '!i']);
    expect(run.kept).toBe(0);
    await run.idle();
  });
});

describe('lines of two streams, cut anywhere, read by an agent that is restarted at will', () => {
  const line = fc.record({
    stream: fc.constantFrom('stdout', 'stderr'),
    flag: fc.constantFrom('F', 'F', 'P'),
    head: fc.constantFrom('#1', ' ', ' '),
    size: fc.oneof(fc.constant(3), fc.integer({ min: 0, max: 20_000 })),
    letter: fc.constantFrom('x', 'é'),
  });

  /** The records of these lines, without those that another line may follow. */
  function reference(content: string): string[] {
    const records: string[] = [];
    const parts = new Map<string, string>();
    const open = new Map<string, string>();
    for (const text of content.split('\n').slice(0, -1)) {
      const [, stream = '', flag = '', rest = ''] = /^\S+ (\S+) (\S) (.*)$/.exec(text) ?? [];
      const joined = (parts.get(stream) ?? '') + rest;
      parts.delete(stream);
      const before = open.get(stream);
      if (flag === 'P') parts.set(stream, joined);
      else if (joined.startsWith('#')) {
        if (before !== undefined) records.push(before);
        open.set(stream, joined);
      } else if (before === undefined) records.push(joined);
      else open.set(stream, `${before}\n${joined}`);
    }
    return records;
  }

  it(
    'become exactly the records, each at least once',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(line, { minLength: 1, maxLength: 40 }),
          steps(['stop', 'kill', 'rotate', 'compress', 'settle']),
          async (lines, history) => {
            const ends = cri('stdout', 'F', '') + cri('stderr', 'F', '') + out('#0') + err('#0');
            const content =
              lines
                .map(({ stream, flag, head, size, letter }, index) =>
                  cri(stream, flag, `${head}<${index}${letter.repeat(size)}>`),
                )
                .join('') + ends;
            const wanted = reference(content);
            const pod = await Pod.open(BOTH);
            const delivered = await live(
              {
                ...wholeRecords(reference),
                path: pod.log.file,
                write: (text) => pod.write(text),
                start: () => pod.start({}, { keepBack: true }),
              },
              content,
              history,
            );
            expect(texts(delivered).filter((text) => !wanted.includes(text as string))).toEqual([]);
          },
        ),
        AMOUNT,
      );
    },
    60_000 + AMOUNT.numRuns * 2000,
  );
});

describe('lines of a pod that says something else each time that the agent is started, and while it runs', () => {
  const says = fc.constantFrom<Record<string, string>>(
    {},
    BOTH,
    { 'tailrace.io/multiline': 'shout' },
    { 'tailrace.io/multiline_stdout': 'head' },
    { 'tailrace.io/multiline_stdout': 'shout', 'tailrace.io/multiline_stderr': 'head' },
  );
  const agents = fc.array(
    fc.record({
      says,
      limit: fc.constantFrom('2M', '2M', '30k'),
      mayKeep: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 20_000),
    }),
    { minLength: 1, maxLength: 4 },
  );

  it(
    'are all delivered, each whole and in its place',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          someLines,
          agents,
          steps(['stop', 'kill', 'kill', 'rotate', 'compress', 'settle', 'settle']),
          fc.array(fc.option(says), { minLength: 1, maxLength: 4 }),
          async (lines, starts, history, changes) => {
            const content =
              lines
                .map((line, index) => cri(line.stream, line.partial ? 'P' : 'F', fragment(line, index)))
                .join('') +
              out('', '#0', '!0') +
              err('', '#0', '!0');
            const pod = await Pod.open({});
            let started = 0;
            let changed = 0;
            const delivered = await live(
              {
                ...fragments(lines),
                path: pod.log.file,
                write: (text) => {
                  const change = changes[changed++ % changes.length];
                  if (change) pod.say(change);
                  pod.write(text);
                },
                start: async () => {
                  const agent = starts[started++ % starts.length] as (typeof starts)[number];
                  pod.say(agent.says);
                  const run = await pod.start({ multiline_buffer_limit: agent.limit }, { keepBack: true });
                  run.mayKeep = agent.mayKeep;
                  return run;
                },
              },
              content,
              history,
            );
            expect(faultsOf(delivered, lines, { byStream: true })).toEqual([]);
          },
        ),
        AMOUNT,
      );
    },
    60_000 + AMOUNT.numRuns * 2000,
  );
});
