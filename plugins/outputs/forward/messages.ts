/** Which records of an attempt go into which message: each run of records with one tag is one. */
import type { Slice, Template } from '../../../src/plugin.ts';

/** Records of one message. */
export interface Message {
  tag: string;
  pieces: { slice: Slice; from: number; to: number }[];
  /** Index of the first record through all slices of the attempt. */
  index: number;
  length: number;
}

/** A message for each run of slices with one tag. */
export function cutByTag(slices: readonly Slice[], tagOf: (tag: string) => string): Message[] {
  const cutter = new Cutter();
  for (const slice of slices) cutter.add(tagOf(slice.tag), slice, 0, slice.length);
  return cutter.messages;
}

/** A message for each run of records with one tag, where records say what it is. One that renders to nothing keeps its own. */
export function cutByRecord(slices: readonly Slice[], template: Template): Message[] {
  const cutter = new Cutter();
  for (const slice of slices) {
    for (let index = 0; index < slice.length; index++) {
      const tag = template.render(slice.record(index), slice.tag) ?? '';
      cutter.add(tag === '' ? slice.tag : tag, slice, index, index + 1);
    }
  }
  return cutter.messages;
}

class Cutter {
  readonly messages: Message[] = [];
  private index = 0;

  add(tag: string, slice: Slice, from: number, to: number): void {
    let message = this.messages.at(-1);
    if (message === undefined || message.tag !== tag) {
      message = { tag, pieces: [], index: this.index, length: 0 };
      this.messages.push(message);
    }
    const piece = message.pieces.at(-1);
    if (piece !== undefined && piece.slice === slice && piece.to === from) piece.to = to;
    else message.pieces.push({ slice, from, to });
    message.length += to - from;
    this.index += to - from;
  }
}
