/** A partition that this member reads: how far it was read, and how far the group has it. */
import { Source } from '../../../src/plugin.ts';

/** What names a partition for ever: a topic that is deleted and made anew has another id. */
export interface PartitionName {
  cluster: string;
  topic: string;
  topicId: string;
  partition: number;
}

export class Partition {
  readonly name: PartitionName;
  /** Its id and offsets are the same whoever reads it and however often: so are the origins of its records. */
  source: Source;
  /** Offset of the next record to read: all before it was handed over. */
  position: number;
  /** Offset that the group has committed; -1 for none. */
  committed: number;
  /** Somebody reads it just now. */
  busy = false;
  /** Offset behind the last record that there is. */
  end = 0;

  constructor(name: PartitionName, position: number, committed: number) {
    this.name = name;
    this.position = position;
    this.committed = committed;
    this.source = newSource(name, position);
  }

  /** It is this member's again, or still: what was handed over is not read again, what others have done since is passed over. */
  resume(committed: number): void {
    this.committed = committed;
    if (committed <= this.position) return;
    this.position = committed;
    this.source.advance(committed);
  }

  /** What was read is not there any more (the log was cut): begins anew at an offset. */
  restart(position: number): void {
    this.position = position;
    this.committed = -1;
    this.source = newSource(this.name, position);
  }

  /** The offset to commit: all before it is safe. Undefined when the group has it already. */
  get toCommit(): number | undefined {
    const position = this.source.position();
    return position > this.committed ? position : undefined;
  }
}

function newSource({ cluster, topicId, partition }: PartitionName, position: number): Source {
  const source = new Source(`${cluster}/${topicId}/${partition}`, position);
  source.inBytes = false;
  return source;
}
