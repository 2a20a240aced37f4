/** What a running agent says of itself. */
import type { Agent } from './agent.ts';

export interface PluginStatus {
  /** Alias, or plugin and ordinal. */
  name: string;
  plugin: string;
}

export interface OutputStatus extends PluginStatus {
  /** Records that wait or are being sent. */
  records: number;
  /** Failed attempts since the last one that worked. */
  failures: number;
  lastError: string | undefined;
}

export interface AgentStatus {
  inputs: readonly (PluginStatus & { tag: string; paused: boolean; bufferedBytes: number })[];
  filters: readonly PluginStatus[];
  outputs: readonly OutputStatus[];
  reloads: number;
}

export interface Readiness {
  ready: boolean;
  /** A sentence for each thing that does not flow. */
  reasons: readonly string[];
}

/** Failed attempts in a row after which an output counts as failing: one lost connection is no news. */
const FAILING_AFTER = 3;
/** An input that waits this long for room is stuck. */
const STUCK_AFTER_MS = 30_000;

export function statusOf(agent: Agent): AgentStatus {
  return {
    inputs: agent.inputs.map(({ name, instance, account }) => ({
      name,
      plugin: instance.definition.name,
      tag: instance.tag,
      paused: account.pausedAt !== undefined,
      bufferedBytes: account.used,
    })),
    filters: agent.definition.filters.map(({ name, definition }) => ({ name, plugin: definition.name })),
    outputs: agent.outputs.map(({ instance, queue }) => {
      const { records, failures, lastError } = queue.state;
      return { name: instance.name, plugin: instance.definition.name, records, failures, lastError };
    }),
    reloads: agent.reloads,
  };
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
  for (const { name, account } of agent.inputs) {
    // Waiting a moment is how backpressure works; waiting long means that nothing flows.
    const waited = account.pausedAt === undefined ? 0 : performance.now() - account.pausedAt;
    if (waited >= STUCK_AFTER_MS) {
      reasons.push(
        `Input ${name} has waited ${Math.round(waited / 1000)} s for room: the memory buffer is full.`,
      );
    }
  }
  return { ready: reasons.length === 0, reasons };
}
