/** `tailrace dlq replay`: the agent does it if it runs; else the outputs of its configuration run here until it is done. */
import { askAgent, NoAgentError, RefusedError } from '../../api/control-client.ts';
import type { PipelineDefinition } from '../../config/definition.ts';
import { Agent } from '../../pipeline/agent.ts';
import { replay as replayLetters, ReplayError } from '../../pipeline/replay.ts';
import type { ReplayCounts, ReplayRequest } from '../../pipeline/replay.ts';
import { StateError, StateLockedError } from '../../state/store.ts';
import { createLogger } from '../../telemetry/logger.ts';
import type { AgentLog } from '../../telemetry/logger.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { lettersDirectory } from '../agent-folder.ts';
import { useColor } from '../color.ts';
import { loadConfiguration } from '../configuration.ts';
import type { ReplayOptions } from '../agent-options.ts';
import { EXIT, UserError } from '../exit.ts';
import type { ExitCode } from '../exit.ts';
import { onSignals } from '../shutdown.ts';
import { countText } from '../status/units.ts';
import { version } from '../version.ts';
import { letterFolders } from './letters.ts';
import { readWhere } from './where.ts';

type OnProgress = (counts: Readonly<ReplayCounts>) => void;

export async function replay(output: string | undefined, options: ReplayOptions): Promise<ExitCode> {
  const { to, where, json } = options;
  readWhere(where);
  const directory = await lettersDirectory(options);
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const stopListening = onSignals({ stop: end, force: end, reload: () => {} });
  const progress = showProgress();
  const request: ReplayRequest = { output, to, where };
  try {
    const counts =
      (await byAgent(directory, request, progress.show, ended.signal)) ??
      (await byOurselves(directory, options, request, progress.show, ended.signal));
    progress.clear();
    process.stdout.write(json ? `${JSON.stringify(counts)}\n` : format(counts));
    const { refused, kept, homeless } = counts;
    return ended.signal.aborted || refused + kept + homeless > 0 ? EXIT.config : EXIT.ok;
  } finally {
    progress.clear();
    stopListening();
  }
}

/** Undefined when no agent runs. */
async function byAgent(
  directory: string,
  request: ReplayRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<ReplayCounts | undefined> {
  try {
    const answer = await askAgent(
      directory,
      { command: 'dlq.replay', ...request },
      { onProgress: (progress) => onProgress(progress as ReplayCounts), signal },
    );
    return answer as ReplayCounts;
  } catch (error) {
    if (error instanceof NoAgentError) return undefined;
    if (signal.aborted) {
      throw new UserError(
        'Ended: the agent finishes what is under way; all else stays a dead letter.',
        EXIT.config,
        { cause: error },
      );
    }
    const code = error instanceof RefusedError ? EXIT.config : EXIT.taken;
    throw new UserError(error instanceof Error ? error.message : String(error), code, { cause: error });
  }
}

/** Without an agent: its outputs alone, under its lock. */
async function byOurselves(
  directory: string,
  { config }: ReplayOptions,
  request: ReplayRequest,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<ReplayCounts> {
  // A mistake in the name is told before anything is started.
  letterFolders(directory, request.output);
  if (config === undefined) {
    throw new UserError(
      'No agent runs: name the configuration whose outputs shall be used, with -c FILE.',
      EXIT.usage,
    );
  }
  const { definition } = await loadConfiguration(config, useColor(process.stderr));
  const log = createLogger({
    level: 'warn',
    pretty: process.stderr.isTTY,
    color: useColor(process.stderr),
  });
  const agent = openAgent(directory, { ...definition, inputs: [], filters: [] }, log);
  try {
    await agent.start();
    return await replayLetters(agent, request, { signal, stop: signal, onProgress });
  } catch (error) {
    if (error instanceof ReplayError) throw new UserError(error.message, EXIT.config, { cause: error });
    throw error;
  } finally {
    await agent.stop({ force: signal.aborted });
    log.flush();
  }
}

function openAgent(stateDirectory: string, definition: PipelineDefinition, log: AgentLog): Agent {
  try {
    const load = async (): Promise<PipelineDefinition> => definition;
    return new Agent({ definition, log, metrics: new Metrics(), stateDirectory, load, version: version() });
  } catch (error) {
    if (error instanceof StateLockedError) throw new UserError(error.message, EXIT.taken, { cause: error });
    if (error instanceof StateError) throw new UserError(error.message, EXIT.config, { cause: error });
    throw error;
  }
}

/** A line on the terminal that is written over; nothing where it would not be seen. */
function showProgress(): { show: OnProgress; clear: () => void } {
  if (!process.stderr.isTTY) return { show: () => undefined, clear: () => undefined };
  let shown = false;
  return {
    show: ({ replayed, delivered, refused }) => {
      shown = true;
      const text = `${countText(replayed)} sent, ${countText(delivered)} delivered, ${countText(refused)} refused`;
      process.stderr.write(`\r\u001b[K${text}`);
    },
    clear: () => {
      if (shown) process.stderr.write('\r\u001b[K');
      shown = false;
    },
  };
}

function format(counts: ReplayCounts): string {
  const { replayed, delivered, refused, kept, homeless, not_matching: others, unreadable } = counts;
  const parts = [`replayed ${countText(replayed)}`, `delivered ${countText(delivered)}`];
  parts.push(`refused again ${countText(refused)}`);
  if (kept > 0) parts.push(`not settled, kept ${countText(kept)}`);
  if (homeless > 0)
    parts.push(`kept, for their output is not in the configuration (see --to) ${countText(homeless)}`);
  parts.push(`not matching ${countText(others)}`, `unreadable lines ${countText(unreadable)}`);
  return `${parts.join(' · ')}\n`;
}
