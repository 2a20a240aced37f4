/**
 * A record of /dev/kmsg, as the kernel's Documentation/ABI/testing/dev-kmsg has it:
 *
 *     6,339,5140900,-,caller=T1;NET: Registered protocol family 10
 *      SUBSYSTEM=net
 *      DEVICE=+net:lo
 *
 * priority and facility in one number, sequence number, microseconds since the boot, a flag, fields yet to come; the text; and lines that begin
 * with a space, each with a key and a value. The kernel writes what cannot be printed, and the backslash, as \x5c: so it stays.
 */
import { setKey } from '../../../src/plugin.ts';
import type { LogRecord } from '../../../src/plugin.ts';

export interface KernelMessage {
  /** 0 (emergency) to 7 (debug). */
  priority: number;
  /** 0 is the kernel. */
  facility: number;
  sequence: number;
  /** Since the boot. */
  microseconds: number;
  text: string;
  /** Its keys and values, if it has any. */
  dictionary: LogRecord | undefined;
}

/** Undefined for what is no such record. */
export function parseKernelMessage(record: string): KernelMessage | undefined {
  const head = record.indexOf(';');
  if (head === -1) return undefined;
  const [level, sequence, microseconds] = record.slice(0, head).split(',').map(toNumber);
  if (level === undefined || sequence === undefined || microseconds === undefined) return undefined;
  const [text = '', ...lines] = record
    .slice(head + 1)
    .replace(/\n$/, '')
    .split('\n');
  return {
    priority: level % 8,
    facility: Math.floor(level / 8),
    sequence,
    microseconds,
    text,
    dictionary: lines.length === 0 ? undefined : dictionaryOf(lines),
  };
}

function toNumber(text: string): number | undefined {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

function dictionaryOf(lines: readonly string[]): LogRecord {
  const dictionary: LogRecord = {};
  for (const line of lines) {
    const pair = line.replace(/^ /, '');
    const equals = pair.indexOf('=');
    if (equals > 0) setKey(dictionary, pair.slice(0, equals), pair.slice(equals + 1));
    else setKey(dictionary, pair, '');
  }
  return dictionary;
}
