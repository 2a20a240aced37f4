/**
 * Reload (DELIVERY.md, rule 29): the new pipeline is built and checked first; the running one stays if anything is wrong.
 *
 * Inputs and outputs are compared by what identifies them in the state. Equal ones stay the same running objects. A changed
 * output takes over the queue of its predecessor, so no record in it is lost or sent twice. A removed one sends what it has for
 * `grace`; the rest stays in its source and is reported.
 */
import type { PipelineDefinition } from '../config/definition.ts';
import { Family } from '../telemetry/metrics.ts';
import type { Agent, OutputRunner } from './agent.ts';
import {
  buildFilter,
  buildInput,
  buildOutput,
  exchangeOutput,
  fingerprintOf,
  openQueue,
  outputNames,
  traitsOf,
} from './build.ts';
import type { BuiltOutput } from './build.ts';
import { Deadline, SAVING_SHARE } from './deadline.ts';
import type { FilterStage } from './filters.ts';
import { haltQueues } from './halt.ts';
import type { InputRunner } from './input-runner.ts';

export type ReloadResult =
  | { ok: true; changed: { inputs: number; outputs: number } }
  | { ok: false; error: string };

/** What a reload is going to do, built but not started. */
interface Plan {
  definition: PipelineDefinition;
  stages: FilterStage[];
  keptInputs: InputRunner[];
  newInputs: InputRunner[];
  goneInputs: InputRunner[];
  keptOutputs: OutputRunner[];
  changedOutputs: { runner: OutputRunner; options: BuiltOutput; next: Omit<OutputRunner, 'queue'> }[];
  newOutputs: OutputRunner[];
  goneOutputs: OutputRunner[];
}

export async function reloadPipeline(
  agent: Agent,
  load: () => Promise<PipelineDefinition>,
): Promise<ReloadResult> {
  let plan: Plan;
  try {
    plan = await prepare(agent, await load());
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    agent.log.error(
      { error: message },
      'The new configuration is not used; the running pipeline goes on unchanged',
    );
    return { ok: false, error: message };
  }
  await changeOver(agent, plan);
  agent.reloads++;
  const changed = {
    inputs: plan.newInputs.length + plan.goneInputs.length,
    outputs: plan.changedOutputs.length + plan.newOutputs.length + plan.goneOutputs.length,
  };
  agent.log.info(changed, 'The configuration was reloaded');
  return { ok: true, changed };
}

async function prepare(agent: Agent, definition: PipelineDefinition): Promise<Plan> {
  const { surroundings } = agent;
  const plan: Plan = {
    definition,
    stages: [],
    keptInputs: [],
    newInputs: [],
    goneInputs: [],
    keptOutputs: [],
    changedOutputs: [],
    newOutputs: [],
    goneOutputs: [],
  };
  agent.requireDisk(definition);
  const made: { name: string; close: () => Promise<void> | void | undefined }[] = [];
  try {
    for (const instance of definition.outputs) {
      const fingerprint = fingerprintOf(instance, definition);
      const runner = agent.outputs.find((output) => output.instance.stateName === instance.stateName);
      // The ordinal in a name may have moved; then the metrics move with it.
      if (runner?.fingerprint === fingerprint && runner.instance.name === instance.name) {
        plan.keptOutputs.push(runner);
        continue;
      }
      if (runner === undefined) {
        await hasLeft(agent, instance.stateName);
        forgetEarlier(agent, instance.name);
      }
      if (runner !== undefined && runner.queue.gathers !== (traitsOf(instance).gather !== undefined)) {
        throw new Error(
          `Output ${instance.name} changes from ${runner.instance.definition.name} to ${instance.definition.name}: only a restart can do that under one name.`,
        );
      }
      const options = await buildOutput(instance, definition, surroundings);
      made.push({ name: instance.name, close: () => options.output.close?.() });
      const next = { instance, fingerprint };
      if (runner === undefined) plan.newOutputs.push({ ...next, queue: openQueue(options) });
      else plan.changedOutputs.push({ runner, options, next });
    }
    for (const instance of definition.filters) {
      const stage = await buildFilter(instance, definition, surroundings);
      made.push({ name: instance.name, close: () => stage.filter.close?.() });
      plan.stages.push(stage);
    }
    for (const instance of definition.inputs) {
      const fingerprint = fingerprintOf(instance, definition);
      const runner = agent.inputs.find(
        (input) => input.fingerprint === fingerprint && input.name === instance.name,
      );
      if (runner !== undefined) {
        plan.keptInputs.push(runner);
        continue;
      }
      const next = await buildInput(instance, definition, surroundings);
      made.push({ name: instance.name, close: () => next.input?.close?.() });
      plan.newInputs.push(next);
    }
  } catch (error) {
    for (const { name, close } of made) await attempt(agent.log, name, close);
    throw error;
  }
  const staying = new Set([...plan.keptOutputs, ...plan.changedOutputs.map(({ runner }) => runner)]);
  plan.goneOutputs = agent.outputs.filter((output) => !staying.has(output));
  plan.goneInputs = agent.inputs.filter((input) => !plan.keptInputs.includes(input));
  return plan;
}

async function changeOver(agent: Agent, plan: Plan): Promise<void> {
  const { log } = agent;
  const graceMs = plan.definition.service.grace * 1000;
  for (const runner of plan.goneInputs) {
    const over = AbortSignal.timeout(graceMs * SAVING_SHARE);
    const stopping = attempt(log, runner.name, () => runner.input?.stop(over));
    // It may be waiting for room: it has to come back to see that it shall stop.
    agent.memory.releaseAll();
    await stopping;
    await runner.settle();
    runner.close();
  }
  await agent.flushFilters('reload');
  const oldFilters = agent.flow.filters;

  const exchanged: OutputRunner[] = [];
  for (const { runner, options, next } of plan.changedOutputs) {
    const { queue } = runner;
    const old = queue.output;
    await haltQueues([queue], new Deadline(), graceMs);
    exchangeOutput(queue, options);
    await attempt(log, runner.instance.name, () => old.close?.());
    exchanged.push({ ...next, queue });
  }
  agent.outputs = inOrder(plan.definition.outputs, [...plan.keptOutputs, ...exchanged, ...plan.newOutputs]);
  agent.flow = { filters: agent.chain(plan.stages), router: agent.route(agent.outputs) };
  agent.definition = plan.definition;
  agent.surroundings.state?.useOutputs(outputNames(plan.definition));
  agent.recover(plan.newOutputs);
  agent.buffer.rememberOutputs();
  await oldFilters.close();

  // Sources of a stopped input stay with the store: an input that takes its place goes on where it stood.
  for (const runner of plan.goneInputs) await attempt(log, runner.name, () => runner.input?.close?.());
  agent.inputs = inOrder(plan.definition.inputs, [...plan.keptInputs, ...plan.newInputs]);
  for (const runner of plan.newInputs) {
    await attempt(log, runner.name, () => runner.input?.start(runner.emit));
  }
  for (const runner of plan.goneOutputs) agent.leaving.set(runner, drainAway(agent, runner, graceMs));
}

/** One that comes back while it still sends what it had does not meet itself. */
async function hasLeft({ leaving }: Agent, stateName: string): Promise<void> {
  for (const [{ instance }, end] of leaving) if (instance.stateName === stateName) await end;
}

/** An output of that name was taken away before: what is left of it comes back, and is counted anew. */
function forgetEarlier({ metrics, outputs, leaving }: Agent, name: string): void {
  if ([...outputs, ...leaving.keys()].some(({ instance }) => instance.name === name)) return;
  for (const family of metrics.families.values()) {
    if (family instanceof Family && family.name.startsWith('tailrace_output_')) {
      family.remove((labels) => labels['name'] === name);
    }
  }
}

/** A removed output sends what it has, for `grace`. */
async function drainAway(agent: Agent, runner: OutputRunner, graceMs: number): Promise<void> {
  const { queue, instance } = runner;
  queue.complete();
  queue.drain();
  const deadline = new Deadline();
  await deadline.wait(queue.idle(), graceMs);
  await haltQueues([queue], deadline, graceMs);
  await agent.buffer.spool();
  const { dropped, onDisk } = queue.abandon('output_removed');
  const left = queue.state.records - onDisk;
  if (dropped + left + onDisk > 0) {
    agent.log.warn(
      { output: instance.name, in_source: left, on_disk: onDisk, dropped },
      'The output was removed by a reload before all its records were delivered',
    );
  }
  await attempt(agent.log, instance.name, () => queue.output.close?.());
  queue.discard();
  agent.leaving.delete(runner);
}

async function attempt(
  log: Agent['log'],
  plugin: string,
  action: () => Promise<void> | void | undefined,
): Promise<void> {
  try {
    await action();
  } catch (error) {
    log.error({ plugin, error }, 'The plugin failed while the configuration was reloaded');
  }
}

/** Runners in the order of their instances in the file. */
function inOrder<R extends { instance: { name: string } }>(
  instances: readonly { name: string }[],
  runners: R[],
): R[] {
  const order = new Map(instances.map(({ name }, index) => [name, index]));
  return runners.toSorted((a, b) => (order.get(a.instance.name) ?? 0) - (order.get(b.instance.name) ?? 0));
}
