/** What the HTTP API shows, and what it may ask for: the agent as seen from here. */
import type { PipelineDefinition } from '../config/definition.ts';
import type { PluginRegistry } from '../plugin.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** What came of a wish to load the configuration anew. */
export type ReloadOutcome =
  | { result: 'done' }
  /** `hot_reload: off`. */
  | { result: 'disabled' }
  /** Another one is under way. */
  | { result: 'busy' }
  /** The new configuration is wrong: the old one goes on. Sentences, with file:line:column. */
  | { result: 'refused'; problems: readonly string[] };

export interface ApiContext {
  readonly version: string;
  readonly metrics: Metrics;
  readonly registry: PluginRegistry;
  readonly log: Logger;
  /** The configuration that runs now; another object after each reload. */
  definition(): PipelineDefinition;
  ready(): { ready: boolean; reasons: readonly string[] };
  reload(): Promise<ReloadOutcome>;
}
