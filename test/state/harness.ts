/** State stores in a directory of their own, and sources with scripted flights. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Range } from '../../src/event/ranges.ts';
import type { Source } from '../../src/event/source.ts';
import { openState } from '../../src/state/store.ts';
import type { OutputName, SourceIdentity, StateStore } from '../../src/state/store.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { recordingLog } from '../delivery/harness.ts';

/** A directory that goes with the test. */
export function workspace(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface OpenedState {
  state: StateStore;
  log: ReturnType<typeof recordingLog>;
  metrics: Metrics;
}

export const OUTPUTS: readonly OutputName[] = [
  { stateName: 'fast', plugin: 'http' },
  { stateName: 'slow', plugin: 'loki' },
];

/** Opens the state; it is closed with the test unless the test did so. */
export function open(directory: string, outputs = OUTPUTS): OpenedState {
  const log = recordingLog();
  const metrics = new Metrics();
  const state = openState({ directory, outputs, log, metrics });
  onTestFinished(() => state.close());
  return { state, log, metrics };
}

export function identity(path: string): SourceIdentity {
  return { path, device: '1', inode: '9007199254740993', fingerprint: '3:abc', fingerprintLength: 3 };
}

/** Hands bytes over to an output; returns what settles them. */
export function send(source: Source, output: string, from: number, to: number): () => void {
  let landed = false;
  source.launch(output, {
    batchStart: from,
    get landed() {
      return landed;
    },
    firstOpen: () => (landed ? Number.POSITIVE_INFINITY : from),
    settledRanges: (): Range[] => (landed ? [[from, to]] : []),
  });
  source.advance(to);
  return () => {
    landed = true;
    source.touch();
  };
}
