/** What following files is told and what it tells. */
import type { Logger, SourceStore } from '../../../src/plugin.ts';
import type { Refusal } from './admission.ts';
import type { TableEvents } from './file-table.ts';
import { matchesPath } from './glob.ts';
import type { Pattern } from './glob.ts';

export interface FollowOptions {
  patterns: readonly Pattern[];
  excluded: (path: string) => boolean;
  /** Undefined where `tag_regex` does not take the path. */
  tagOf: (path: string) => string | undefined;
  allowedRoots: readonly string[];
  readFromHead: boolean;
  /** Milliseconds; 0: any age. */
  ignoreOlderMs: number;
  /** Milliseconds between scans where every directory is watched. */
  rescanMs: number;
  inotify: boolean;
  /** Longer lines are cut. Bytes. */
  maxLine: number;
  /** Files that may be open at once. */
  maxOpen: number;
  store: SourceStore | undefined;
  log: Logger;
}

/** Why bytes are lost: truncated away, deleted and not saved, or gone while nobody had them open. */
export type LossReason = 'truncated' | 'unlinked' | 'source_gone';

export interface FollowEvents extends TableEvents {
  onOpened: () => void;
  onClosed: () => void;
  onRefused: (reason: Refusal) => void;
  onLost: (reason: LossReason, bytes: number) => void;
}

/** The pattern that a path matches; none where it is excluded. */
export function patternOf({ excluded, patterns }: FollowOptions, path: string): Pattern | undefined {
  return excluded(path) ? undefined : patterns.find((pattern) => matchesPath(pattern, path));
}
