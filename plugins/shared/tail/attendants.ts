/** What another input adds to the files that it follows: each path has somebody who attends to it, for as long as any generation is followed. */
import type { Batch } from '../../../src/plugin.ts';
import type { FileFormat } from './line-reader.ts';
import type { TailFile } from './tail-file.ts';

export interface Attendant {
  /** Until it resolves the files are held open, but not read: something has to be known first. It must resolve within seconds. */
  readonly ready?: Promise<void> | undefined;
  /** What becomes of the lines, asked at every turn of a file; undefined: what the options of the input say. */
  format?(): FileFormat | undefined;
  /** Works on a batch before it is handed over, as a filter does: changes, drops. Synchronous; must not throw. */
  process(batch: Batch): void;
  /** Hands over what it has to say beside what was read; asked about once a second. Resolves when there is room for more. */
  speak?(): Promise<void> | undefined;
  /** No generation is followed any more. */
  close(): void;
}

/** Who attends to a path as it was found, links unresolved, if anybody; called once for all of its generations. */
export type Attend = (path: string) => Attendant | undefined;

interface Post {
  attendant: Attendant;
  files: Set<TailFile>;
  /** Undefined once it may be read. */
  waiting: Promise<void> | undefined;
}

export class Attendants {
  private readonly attend: Attend;
  private readonly onReady: (file: TailFile) => void;
  private readonly posts = new Map<string, Post>();

  /** `onReady`: the file may be read now. */
  constructor(attend: Attend, onReady: (file: TailFile) => void) {
    this.attend = attend;
    this.onReady = onReady;
  }

  followed(file: TailFile): void {
    const post = this.posts.get(file.path);
    if (post !== undefined) {
      post.files.add(file);
      return;
    }
    const attendant = this.attend(file.path);
    if (attendant === undefined) return;
    const added: Post = { attendant, files: new Set([file]), waiting: undefined };
    this.posts.set(file.path, added);
    added.waiting = attendant.ready?.then(() => {
      added.waiting = undefined;
      for (const waiting of added.files) this.onReady(waiting);
    });
  }

  forgotten(file: TailFile): void {
    const post = this.posts.get(file.path);
    if (post === undefined || !post.files.delete(file) || post.files.size > 0) return;
    this.posts.delete(file.path);
    post.attendant.close();
  }

  /** Some file may not be read yet. */
  get isWaiting(): boolean {
    return this.posts.values().some(({ waiting }) => waiting !== undefined);
  }

  /** Resolves when the file may be read; undefined when it may be now. */
  waiting(file: TailFile): Promise<void> | undefined {
    return this.posts.get(file.path)?.waiting;
  }

  of(file: TailFile): Attendant | undefined {
    return this.posts.get(file.path)?.attendant;
  }

  all(): Iterable<Attendant> {
    return this.posts.values().map(({ attendant }) => attendant);
  }

  close(): void {
    for (const { attendant } of this.posts.values()) attendant.close();
    this.posts.clear();
  }
}
