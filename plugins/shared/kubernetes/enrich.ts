/** What is done to records once it is known what their container is: leaving out, merging, adding. */
import type { Batch } from '../../../src/plugin.ts';
import type { LogMerger } from './merge-log.ts';
import { addShared } from './metadata.ts';
import type { SharedField } from './metadata.ts';
import type { ContainerPolicy, StreamPolicy } from './policy.ts';

/** Without a policy. */
const NOTHING: StreamPolicy = {};

/** Whether the pod leaves this record out. A record without stream goes when both streams do. */
export function isExcluded(batch: Batch, index: number, policy: ContainerPolicy | undefined): boolean {
  if (!excludesAny(policy)) return false;
  const { stdout, stderr } = policy;
  if (stdout.exclude === true && stderr.exclude === true) return true;
  return streamPolicy(batch, index, policy).exclude === true;
}

/** Leaves out what the pod does not want to be read. */
export function exclude(batch: Batch, policy: ContainerPolicy | undefined): void {
  if (excludesAny(policy)) batch.retain((index) => !isExcluded(batch, index, policy));
}

/** Merges the log of one record and adds the fields. */
export function enrich(
  batch: Batch,
  index: number,
  merger: LogMerger | undefined,
  { fields, policy }: { fields: readonly SharedField[]; policy: ContainerPolicy | undefined },
): void {
  if (merger !== undefined) {
    const parser = policy === undefined ? undefined : streamPolicy(batch, index, policy).parser;
    merger.merge(batch, index, parser);
  }
  for (const field of fields) addShared(batch, index, field);
}

function excludesAny(policy: ContainerPolicy | undefined): policy is ContainerPolicy {
  return policy !== undefined && (policy.stdout.exclude === true || policy.stderr.exclude === true);
}

/** What holds for the record's stream; where it names none, what both streams have in common. */
export function streamPolicy(batch: Batch, index: number, { stdout, stderr }: ContainerPolicy): StreamPolicy {
  if (stdout === stderr) return stdout;
  const { stream } = batch.record(index);
  if (stream === 'stdout') return stdout;
  if (stream === 'stderr') return stderr;
  return stdout.parser !== undefined && stdout.parser === stderr.parser ? { parser: stdout.parser } : NOTHING;
}
