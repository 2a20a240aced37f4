/**
 * What is known of a container: Docker keeps it in `config.v2.json`, in the directory of the container's log. All of it was chosen by
 * whoever started the container: lengths and characters are looked at before anything is made of it.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { getKey, isRecord, setKey } from '../../../src/plugin.ts';
import type { LogRecord, ReadonlyValue, Value } from '../../../src/plugin.ts';

/** Larger files are not read. Bytes. */
const MAX_CONFIG = 1 << 20;
const MAX_NAME = 255;
const MAX_IMAGE = 512;
const MAX_LABELS = 64;
const MAX_LABEL_NAME = 256;
const MAX_LABEL_VALUE = 4096;
/** As Docker itself restricts them. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const IMAGE = /^[a-zA-Z0-9][\w.\-/:@]*$/;
const ID = /^[0-9a-f]{12,64}$/;
// oxlint-disable-next-line no-control-regex -- that is what they shall not have
const CONTROL = /[\u0000-\u001f\u007f]/;

export interface ContainerFacts {
  /** From the name of the directory; empty where that is none. */
  id: string;
  name: string | undefined;
  image: string | undefined;
  imageId: string | undefined;
  /** Those that are wanted. */
  labels: readonly (readonly [string, string])[];
  /** What was there and was not taken: too long, or of characters that do not belong there. */
  refused: readonly string[];
}

/** Which labels are wanted: names, with `*` for any text. */
export type WantsLabel = (name: string) => boolean;

export function compileLabels(patterns: readonly string[]): WantsLabel {
  const expressions = patterns.map((pattern) => {
    const parts = pattern.split('*').map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
    return new RegExp(`^${parts.join('.*')}$`, 's');
  });
  return (name) => expressions.some((expression) => expression.test(name));
}

/** The file that says what is known of the container with this log. */
export function configOf(log: string): string {
  return join(dirname(log), 'config.v2.json');
}

/** What is known of the container with this log; its id alone where the file is not there or cannot be used. */
export function readContainer(log: string, wants: WantsLabel): ContainerFacts {
  const directory = basename(dirname(log));
  const id = ID.test(directory) ? directory : '';
  const config = readConfig(configOf(log));
  if (config === undefined) {
    return { id, name: undefined, image: undefined, imageId: undefined, labels: [], refused: [] };
  }
  const refused: string[] = [];
  const text = (
    what: string,
    value: ReadonlyValue | undefined,
    form: RegExp,
    limit: number,
  ): string | undefined => {
    if (typeof value !== 'string' || value === '') return undefined;
    if (value.length <= limit && form.test(value)) return value;
    refused.push(what);
    return undefined;
  };
  const own = getKey(config, 'Config');
  const settings = isRecord(own) ? own : {};
  const written = getKey(config, 'Name');
  const name = typeof written === 'string' ? written.replace(/^\//, '') : written;
  const imageId = getKey(config, 'Image');
  const labels: [string, string][] = [];
  const all = getKey(settings, 'Labels');
  for (const [label, value] of isRecord(all) ? Object.entries(all) : []) {
    if (label.length > MAX_LABEL_NAME || !wants(label)) continue;
    const fits = typeof value === 'string' && value.length <= MAX_LABEL_VALUE;
    if (fits && !CONTROL.test(label) && labels.length < MAX_LABELS) labels.push([label, value]);
    else refused.push('label');
  }
  return {
    id,
    name: text('name', name, NAME, MAX_NAME),
    image: text('image', getKey(settings, 'Image'), IMAGE, MAX_IMAGE),
    imageId: text('image id', imageId, IMAGE, MAX_IMAGE),
    labels,
    refused,
  };
}

/** What a record says of its container; a new object at each call, for it becomes part of the record. */
export function containerRecord({ id, name, image, imageId, labels }: ContainerFacts): LogRecord {
  const record: LogRecord = {};
  if (id !== '') record['id'] = id;
  if (name !== undefined) record['name'] = name;
  if (image !== undefined) record['image'] = image;
  if (imageId !== undefined) record['image_id'] = imageId;
  if (labels.length > 0) {
    const taken: LogRecord = {};
    for (const [label, value] of labels) setKey(taken, label, value);
    record['labels'] = taken;
  }
  return record;
}

/** When a file was changed, Unix milliseconds; 0 where it is not there. */
export function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function readConfig(path: string): LogRecord | undefined {
  let descriptor: number | undefined;
  try {
    // A link would lead where nobody meant to read, a FIFO would block.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.size > MAX_CONFIG) return undefined;
    const bytes = Buffer.allocUnsafe(stats.size);
    const read = readSync(descriptor, bytes, 0, bytes.length, 0);
    const value = JSON.parse(bytes.toString('utf8', 0, read)) as Value;
    return isRecord(value) ? value : undefined;
  } catch {
    // Not there, not to be read, or being written.
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
