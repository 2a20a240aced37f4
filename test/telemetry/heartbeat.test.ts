import { expect, it } from 'vitest';
import { CELL, MainLoop } from '../../src/telemetry/heartbeat.ts';

it('keeps the index of a name, and tells whoever listens of new ones', () => {
  const loop = new MainLoop();
  const heard: string[] = [];
  const stop = loop.onStages((names) => heard.push(names.join(', ')));
  const first = loop.stage('filter a');
  expect(loop.stage('filter b')).not.toBe(first);
  expect(loop.stage('filter a')).toBe(first);
  stop();
  loop.stage('filter c');
  expect(heard).toEqual([
    'no filter or output',
    'no filter or output, filter a',
    'no filter or output, filter a, filter b',
  ]);
});

it('shows beats, the stage and a debugger to whoever has the memory', () => {
  const loop = new MainLoop();
  const cells = new Int32Array(loop.memory);
  const stage = loop.stage('output es');
  loop.enter(stage);
  loop.beat(true);
  loop.beat(false);
  expect([cells[CELL.beats], cells[CELL.stage], cells[CELL.debugged]]).toEqual([2, stage, 0]);
  loop.leave();
  expect(cells[CELL.stage]).toBe(0);
});
