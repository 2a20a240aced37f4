/**
 * Makes the streams and groups that are not there. Several agents may do so at once: that another was first is as good as having done it.
 */
import type { LogGroupClass } from '@aws-sdk/client-cloudwatch-logs';
import { RetryableError } from '../../../src/plugin.ts';
import type { Logger } from '../../../src/plugin.ts';
import { AwsFault, AwsRefusal } from '../../shared/aws/index.ts';
import type { LogsApi } from './api.ts';
import type { Target } from './names.ts';

export interface CreationOptions {
  /** Makes groups, too. */
  groups: boolean;
  groupClass: LogGroupClass | undefined;
  /** Of groups that it makes; 0: for ever. */
  retentionDays: number;
  /** Where the groups are, for messages. */
  place: string;
}

/** The group of a stream is not there, and is not ours to make. */
export class MissingGroupError extends RetryableError {
  override name = 'MissingGroupError';
}

export class Creation {
  private readonly api: LogsApi;
  private readonly options: CreationOptions;
  private readonly log: Logger;
  /** Groups that were made and have no retention yet. */
  private readonly unfinished = new Set<string>();

  constructor(api: LogsApi, options: CreationOptions, log: Logger) {
    this.api = api;
    this.options = options;
    this.log = log;
  }

  /** Makes the stream, and its group where that is wanted. Throws what the API throws, and a MissingGroupError. */
  async create(target: Target, signal: AbortSignal): Promise<void> {
    if (await this.createStream(target, signal)) return;
    const { group } = target;
    if (!this.options.groups) {
      throw new MissingGroupError(
        `${this.options.place}: the log group "${group}" is not there: create it, or set auto_create_group`,
      );
    }
    if (await done(this.api.createGroup(group, this.options.groupClass, signal))) {
      this.log.info({ group }, 'Made the log group');
      if (this.options.retentionDays > 0) this.unfinished.add(group);
    }
    await this.finish(group, signal);
    if (!(await this.createStream(target, signal)))
      throw new MissingGroupError(
        `${this.options.place}: the log group "${group}" is gone as soon as it was made`,
      );
  }

  /** Sets the retention of a group that was made without: a group without one costs for ever. */
  async finish(group: string, signal: AbortSignal): Promise<void> {
    if (!this.unfinished.has(group)) return;
    try {
      await this.api.setRetention(group, this.options.retentionDays, signal);
      this.unfinished.delete(group);
    } catch (error) {
      // Of a group that is gone again there is nothing left to do.
      if (isMissing(error)) this.unfinished.delete(group);
      else throw error;
    }
  }

  /** False when the group is not there. */
  private async createStream(target: Target, signal: AbortSignal): Promise<boolean> {
    try {
      await done(this.api.createStream(target, signal));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }
}

/** Whether the request did it; false when somebody else had. */
async function done(request: Promise<void>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (error instanceof AwsRefusal && error.code === 'ResourceAlreadyExistsException') return false;
    throw error;
  }
}

/** A group or a stream is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof AwsFault && error.code === 'ResourceNotFoundException';
}
