/** What a running agent says of itself. {@link AgentStatus} is what `tailrace status --json` prints: keys as in the metrics. */
import type { QueueState } from '../delivery/delivery-queue.ts';
import type { Agent } from './agent.ts';
import { Counts } from './counts.ts';
import { stuckReasons } from './stuck.ts';
import type { InputEquation, OutputEquation } from './counts.ts';

export interface PluginStatus {
  /** Alias, or plugin and ordinal. */
  name: string;
  plugin: string;
}

export interface FileLag {
  file: string;
  /** Not read or not settled. */
  bytes: number;
}

export interface InputStatus extends PluginStatus {
  tag: string;
  /** False for one that a reload took away, and for dead letters that are sent again. */
  running: boolean;
  records: InputEquation;
  buffered_bytes: number;
  /** For how long it has been waiting for room; absent while it is not. */
  paused_seconds?: number;
  /** Of all its files; absent for inputs without. */
  lag_bytes?: number;
  /** The files with the largest lag. */
  lagging?: readonly FileLag[];
}

export interface OutputStatus extends PluginStatus {
  /** False for one that a reload took away. */
  running: boolean;
  records: OutputEquation;
  /** In memory. */
  buffered_bytes: number;
  disk_records: number;
  disk_bytes: number;
  /** Of an output that gathers: objects that are open, the records in them, and objects that are to be sent. */
  objects?: { open: number; open_records: number; closed: number };
  /** Since the oldest buffered record arrived; absent when there is none. */
  oldest_seconds?: number;
  /** Failed attempts since the last one that worked. */
  failures: number;
  /** Since the first of those. */
  failing_seconds?: number;
  /** Until the next attempt. */
  next_attempt_seconds?: number;
  last_error?: string;
  /** Dead letters that are kept. */
  dead_letters: number;
  dead_letters_bytes: number;
}

export interface AgentStatus {
  version: string;
  pid: number;
  uptime_seconds: number;
  ready: boolean;
  /** A sentence for each thing that does not flow. */
  reasons: readonly string[];
  memory_used: number;
  memory_limit: number;
  reloads: number;
  inputs: readonly InputStatus[];
  filters: readonly PluginStatus[];
  outputs: readonly OutputStatus[];
}

export interface Readiness {
  ready: boolean;
  /** A sentence for each thing that does not flow. */
  reasons: readonly string[];
}

/** Failed attempts in a row after which an output counts as failing: one lost connection is no news. */
const FAILING_AFTER = 3;
/** Files of an input that are named. */
const LAGGING = 5;

export function statusOf(agent: Agent): AgentStatus {
  const counts = new Counts(agent.metrics);
  const inputs = agent.inputs.map((runner) => inputStatus(runner, counts));
  const outputs = agent.outputs.map(({ instance, queue }) => ({
    name: instance.name,
    plugin: instance.definition.name,
    running: true,
    records: counts.output(instance.name),
    ...queueStatus(queue.state, counts, instance.name),
  }));
  for (const name of counts.others('tailrace_input_read_records_total', inputs)) {
    inputs.push({
      name,
      plugin: '',
      tag: '',
      running: false,
      records: counts.input(name),
      buffered_bytes: 0,
    });
  }
  for (const name of counts.others('tailrace_output_enqueued_records_total', outputs)) {
    const leaving = [...agent.leaving.keys()].find(({ instance }) => instance.name === name);
    outputs.push({
      name,
      plugin: leaving?.instance.definition.name ?? '',
      running: false,
      records: counts.output(name),
      ...queueStatus(leaving?.queue.state, counts, name),
    });
  }
  return {
    version: agent.surroundings.agentVersion,
    pid: process.pid,
    uptime_seconds: counts.sum('tailrace_uptime_seconds'),
    ...agent.ready(),
    memory_used: agent.memory.total,
    memory_limit: agent.memory.limit,
    reloads: agent.reloads,
    inputs,
    filters: agent.definition.filters.map(({ name, definition }) => ({ name, plugin: definition.name })),
    outputs,
  };
}

function inputStatus(runner: Agent['inputs'][number], counts: Counts): InputStatus {
  const { name, instance, account, input } = runner;
  const files = input?.lag?.();
  return {
    name,
    plugin: instance.definition.name,
    tag: instance.tag,
    running: true,
    records: counts.input(name),
    buffered_bytes: account.used,
    ...(account.pausedAt !== undefined && { paused_seconds: secondsSince(account.pausedAt) }),
    ...(files !== undefined && {
      lag_bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      lagging: files
        .filter(({ bytes }) => bytes > 0)
        .toSorted((a, b) => b.bytes - a.bytes)
        .slice(0, LAGGING),
    }),
  };
}

function queueStatus(
  state: QueueState | undefined,
  counts: Counts,
  name: string,
): Omit<OutputStatus, 'name' | 'plugin' | 'running' | 'records'> {
  const { failures = 0, failingSince = 0, lastError, oldestAt, nextAttemptInMs, objects } = state ?? {};
  return {
    // The metric counts what is on disk too.
    buffered_bytes: state?.bytes ?? 0,
    disk_records: state?.diskRecords ?? 0,
    disk_bytes: state?.diskBytes ?? 0,
    ...(objects !== undefined && {
      objects: { open: objects.open, open_records: objects.openRecords, closed: objects.closed },
    }),
    ...(oldestAt !== undefined && { oldest_seconds: secondsSince(oldestAt) }),
    failures,
    ...(failures > 0 && { failing_seconds: secondsSince(failingSince) }),
    ...(nextAttemptInMs !== undefined && { next_attempt_seconds: Math.max(0, nextAttemptInMs / 1000) }),
    ...(lastError !== undefined && { last_error: lastError }),
    dead_letters: counts.sum('tailrace_dead_letters', { name }),
    dead_letters_bytes: counts.sum('tailrace_dead_letters_bytes', { name }),
  };
}

function secondsSince(monotonic: number): number {
  return (performance.now() - monotonic) / 1000;
}

export function readiness(agent: Agent, running: boolean): Readiness {
  const reasons: string[] = [];
  if (!running) reasons.push('The pipeline is not running.');
  for (const { instance, queue } of agent.outputs) {
    const { failures, failingSince, lastError } = queue.state;
    if (failures < FAILING_AFTER) continue;
    const seconds = Math.round((performance.now() - failingSince) / 1000);
    reasons.push(
      `Output ${instance.name} has failed ${failures} times in ${seconds} s: ${lastError ?? 'unknown'}.`,
    );
  }
  if (agent.surroundings.state?.isFailing === true) {
    reasons.push('Positions cannot be written: a crash would send records twice.');
  }
  const { problem } = agent.buffer;
  if (problem !== undefined) reasons.push(problem);
  reasons.push(...stuckReasons(agent));
  return { ready: reasons.length === 0, reasons };
}
