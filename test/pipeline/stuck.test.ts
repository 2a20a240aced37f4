import { describe, expect, it } from 'vitest';
import { stuckReasons, StuckWatch } from '../../src/pipeline/stuck.ts';
import type { Waiting } from '../../src/pipeline/stuck.ts';
import type { Logger } from '../../src/telemetry/log.ts';

interface Since {
  paused?: number;
  filter?: number;
  answer?: number;
}

function waiting({ paused, filter, answer }: Since): Waiting {
  return {
    inputs: [{ name: 'tail.0', account: { pausedAt: paused }, pendingSince: filter }],
    outputs: [{ instance: { name: 'es.0' }, queue: { state: { attemptSince: answer } } }],
  };
}

describe('readiness', () => {
  it.each<[Since, number, string[]]>([
    [{}, 100_000, []],
    [{ answer: 1000 }, 20_999, []],
    [{ answer: 1000 }, 26_000, ['Output es.0 has waited 25 s for an answer.']],
    [{ filter: 1000 }, 26_000, ['Records of input tail.0 have waited 25 s for an asynchronous filter.']],
    [{ paused: 1000 }, 30_999, []],
    [{ paused: 1000 }, 31_000, ['Input tail.0 has waited 30 s for room: the memory buffer is full.']],
  ])('with %o at %d: %o', (since, now, reasons) => {
    expect(stuckReasons(waiting(since), now)).toEqual(reasons);
  });
});

describe('the log', () => {
  it('says once when something begins to be stuck, and once when it is over', () => {
    const lines: [string, string, unknown][] = [];
    const say =
      (level: string) =>
      (fields: Record<string, unknown>, message: string): void =>
        void lines.push([level, message, fields]);
    const log: Logger = {
      error: say('error'),
      warn: say('warn'),
      info: say('info'),
      debug: say('debug'),
      child: () => log,
    };
    const watch = new StuckWatch(log);
    watch.look(waiting({ answer: 1000 }), 2000);
    expect(lines).toEqual([]);
    for (const now of [21_000, 22_000, 23_000]) watch.look(waiting({ answer: 1000 }), now);
    expect(lines).toEqual([['warn', 'The output waits for an answer', { output: 'es.0', seconds: 20 }]]);
    lines.length = 0;
    for (const now of [24_000, 25_000]) watch.look(waiting({ answer: 24_000 }), now);
    expect(lines).toEqual([
      [
        'info',
        'It waits no more',
        { output: 'es.0', waited_for: 'The output waits for an answer', seconds: 23 },
      ],
    ]);
  });
});
