/**
 * Lines as a container runtime writes them for Kubernetes (CRI):
 *
 *   2024-05-07T18:57:50.904275087+00:00 stdout F what the container wrote
 *   time                                stream F: a whole line, P: a part of one
 *
 * The head is read off the characters; the record is made only when somebody asks for it.
 *
 * Source: the CRI logging format, kubernetes/kubernetes `pkg/kubelet/kuberuntime/logs`.
 */
import type { LineShape } from '../event/batch.ts';
import type { LogRecord } from '../event/record.ts';
import { compileTimeFormat } from './time.ts';

const SPACE = 0x20;
const PARTIAL = 0x50;
const FULL = 0x46;
/** From the end of the time to the text: ` stdout F `. */
const HEAD = 10;
const FLAG_AT = 8;

/** What the lines of a block are read from. */
export interface CriBytes {
  /** One character for each byte: offsets in both are the same. Undefined where that cannot be had: then no line is taken. */
  readonly head: string | undefined;
  /** The decoded text between two offsets. */
  slice(start: number, stop: number): string;
}

/** Reads the lines of a text. The fields hold what the last {@link read} found. */
export class CriText implements LineShape {
  /** Unix time. */
  seconds = 0;
  nanos = 0;
  stream: 'stdout' | 'stderr' = 'stdout';
  /** The line is a part of one. */
  partial = false;
  /** Offset behind the time. */
  timeEnd = 0;
  /** Where the text begins. */
  textAt = 0;
  private readonly time = compileTimeFormat('%Y-%m-%dT%H:%M:%S.%L%z');
  private readonly bytes: CriBytes;

  constructor(bytes: CriBytes) {
    this.bytes = bytes;
  }

  /** Reads the head of the line between two offsets. False when it is none, or has no time in full. */
  read(start: number, stop: number): boolean {
    const { time } = this;
    const { head } = this.bytes;
    if (head === undefined || !time.parse(head, start)) return false;
    const { end } = time;
    const textAt = end + HEAD;
    if (textAt > stop || head.charCodeAt(end) !== SPACE || head.charCodeAt(textAt - 1) !== SPACE)
      return false;
    const flag = head.charCodeAt(end + FLAG_AT);
    if ((flag !== FULL && flag !== PARTIAL) || head.charCodeAt(end + FLAG_AT - 1) !== SPACE) return false;
    if (head.startsWith('stdout', end + 1)) this.stream = 'stdout';
    else if (head.startsWith('stderr', end + 1)) this.stream = 'stderr';
    else return false;
    this.partial = flag === PARTIAL;
    this.seconds = time.seconds;
    this.nanos = time.nanos;
    this.timeEnd = end;
    this.textAt = textAt;
    return true;
  }

  /** The record of a line that {@link read} took, in the order in which Fluent Bit's parser of the same name writes it. */
  record(start: number, stop: number): LogRecord {
    const { head = '' } = this.bytes;
    const end = head.indexOf(' ', start);
    return {
      time: head.slice(start, end),
      stream: head.slice(end + 1, end + 7),
      _p: head.slice(end + FLAG_AT, end + FLAG_AT + 1),
      log: this.bytes.slice(end + HEAD, stop),
    };
  }

  json(start: number, stop: number): string {
    const { head = '' } = this.bytes;
    const end = head.indexOf(' ', start);
    // The time is digits and signs: nothing in it is to be escaped.
    return `{"time":"${head.slice(start, end)}","stream":"${head.slice(end + 1, end + 7)}","_p":"${head.slice(
      end + FLAG_AT,
      end + FLAG_AT + 1,
    )}","log":${JSON.stringify(this.bytes.slice(end + HEAD, stop))}}`;
  }
}
