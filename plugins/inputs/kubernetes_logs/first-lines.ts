/** How the lines of pods are joined that say what their records begin with: one format for each pair of parsers that is chosen. */
import type { Parser } from '../../../src/plugin.ts';
import type { ContainerPolicy } from '../../shared/kubernetes/policy.ts';
import type { ContainerPlan } from '../../shared/tail/join/containers.ts';
import type { FileFormat } from '../../shared/tail/line-reader.ts';

type ByStderr = Map<Parser | undefined, FileFormat>;

export class FirstLineFormats {
  private readonly plan: ContainerPlan;
  private readonly formats = new Map<Parser | undefined, ByStderr>();

  /** `plan`: how lines are joined that the runtime split. */
  constructor(plan: ContainerPlan) {
    this.plan = plan;
  }

  /** The format for a container; undefined where each of its lines is a record. */
  of(policy: ContainerPolicy): FileFormat | undefined {
    const stdout = policy.stdout.multiline;
    const stderr = policy.stderr.multiline;
    if (stdout === undefined && stderr === undefined) return undefined;
    let byStderr = this.formats.get(stdout);
    if (byStderr === undefined) this.formats.set(stdout, (byStderr = new Map()));
    let format = byStderr.get(stderr);
    if (format === undefined) {
      format = { parser: undefined, join: this.plan.withFirstLines({ stdout, stderr }) };
      byStderr.set(stderr, format);
    }
    return format;
  }
}
