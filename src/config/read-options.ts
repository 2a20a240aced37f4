/** Reads a map of keys by its declared options: the structure phase of everything that has options. */
import type { OptionFields, OptionSpec } from './options.ts';
import type { Problems } from './problem.ts';
import type { Place } from './source-text.ts';
import { suggestion } from './suggest.ts';
import type { ConfigNode, Located, MapNode, ScalarNode } from './tree.ts';
import { describeNode, quote } from './tree.ts';

/** One value as written. */
export interface Written {
  /** The declared key (an alias is resolved). */
  key: string;
  /** Place of the key as written. */
  keyPlace: Place;
  node: ScalarNode;
  path: string;
  secret: boolean;
}

export interface ReadOptions {
  /** Values by declared key, defaults filled in; what could not be read is missing. */
  values: Record<string, unknown>;
  /** In file order, one per list item. */
  written: readonly Written[];
  ok: boolean;
}

export interface ReadRules {
  problems: Problems;
  /** What has these options, for messages: `tail`. */
  owner: string;
  /** Keys that the caller reads itself, lower case. */
  skip?: readonly string[];
  /** Says what there is to say of a key that is not declared; undefined for one that is simply unknown. */
  unknown?: (key: string, place: Place, path: string, value: ConfigNode) => 'refused' | 'noted' | undefined;
}

interface Target {
  key: string;
  spec: OptionSpec<unknown>;
}

export function readOptions(
  { node, path }: Located<MapNode>,
  fields: OptionFields,
  rules: ReadRules,
): ReadOptions {
  return new OptionsReader(node, path, fields, rules).read();
}

class OptionsReader {
  private readonly node: MapNode;
  private readonly path: string;
  private readonly fields: OptionFields;
  private readonly rules: ReadRules;
  private readonly targets = new Map<string, Target>();
  private readonly families: { prefix: string; target: Target }[] = [];
  private readonly written: Written[] = [];
  private readonly given = new Map<string, Written[]>();
  /** Keys of which a value is not known. */
  private readonly unread = new Set<string>();
  private ok = true;

  constructor(node: MapNode, path: string, fields: OptionFields, rules: ReadRules) {
    this.node = node;
    this.path = path;
    this.fields = fields;
    this.rules = rules;
    for (const [key, { spec }] of Object.entries(fields)) {
      const target = { key, spec };
      if (spec.family) this.families.push({ prefix: key.slice(0, key.indexOf('*')).toLowerCase(), target });
      for (const name of [key, ...spec.aliases]) this.targets.set(name.toLowerCase(), target);
    }
  }

  read(): ReadOptions {
    const seen = new Map<string, string>();
    for (const { key, place, value } of this.node.entries) {
      const lower = key.toLowerCase();
      const path = `${this.path}.${key}`;
      const target =
        this.targets.get(lower) ?? this.families.find(({ prefix }) => lower.startsWith(prefix))?.target;
      const id = target === undefined || target.spec.family ? lower : target.key;
      const before = seen.get(id);
      if (before !== undefined && !(target?.spec.repeatable ?? false)) {
        const twice =
          before === key ? 'the key is there twice' : `the key is there twice, as ${before} and as ${key}`;
        const hint = target?.spec.multiple ? 'write one list' : 'remove one of them';
        this.fail(place, path, `${twice}: ${hint}`);
        continue;
      }
      seen.set(id, key);
      if (this.rules.skip?.includes(lower)) continue;
      if (target === undefined) this.unknown(key, place, path, value);
      else this.take(target, key, place, path, value);
    }
    const values: Record<string, unknown> = {};
    for (const [key, { spec }] of Object.entries(this.fields)) {
      const reading = this.evaluate(key, spec);
      if (reading.ok) values[key] = reading.value;
      else this.ok = false;
    }
    return { values, written: this.written, ok: this.ok };
  }

  private fail(place: Place, path: string, message: string, secret = false): void {
    this.ok = false;
    this.rules.problems.report(place, path, message, { secret });
  }

  private unknown(key: string, place: Place, path: string, value: ConfigNode): void {
    const said = this.rules.unknown?.(key, place, path, value);
    if (said === 'refused') this.ok = false;
    if (said !== undefined) return;
    const dotted = value.kind === 'map' ? this.dottedName(key, value) : undefined;
    if (dotted !== undefined) {
      this.fail(place, path, `unknown key: there are no maps here, write it as one key, ${dotted}: …`);
      return;
    }
    const names = [...this.targets.keys(), ...(this.rules.skip ?? [])].filter((name) => !name.includes('*'));
    const meant = suggestion(key, names);
    this.fail(
      place,
      path,
      `unknown key${meant === undefined ? `: ${this.rules.owner} has no such option` : ` — did you mean "${meant}"?`}`,
    );
  }

  /** `storage: {type: …}` for `storage.type: …`. */
  private dottedName(key: string, map: MapNode): string | undefined {
    return map.entries
      .map((entry) => `${key}.${entry.key}`.toLowerCase())
      .find((name) => this.targets.has(name));
  }

  private take(
    { key, spec }: Target,
    writtenKey: string,
    place: Place,
    path: string,
    value: ConfigNode,
  ): void {
    const { problems } = this.rules;
    if (spec.ignored !== undefined) {
      problems.note(place, path, `has no effect: ${spec.ignored}`);
      return;
    }
    if (spec.deprecated !== undefined)
      problems.warn(place, path, `the key is deprecated: ${spec.deprecated}`);
    const items = value.kind === 'list' && spec.multiple ? value.items : [value];
    const list = this.given.get(key) ?? [];
    this.given.set(key, list);
    for (const [index, item] of items.entries()) {
      const itemPath = items === (value as { items?: unknown }).items ? `${path}[${index}]` : path;
      if (item.kind !== 'scalar') {
        const dotted = item.kind === 'map' ? this.dottedName(key, item) : undefined;
        const message =
          dotted === undefined
            ? wrongShape(item, spec, item === value)
            : `one value is expected here, and this is a map: write it as one key, ${dotted}: …`;
        this.fail(item.place, itemPath, message, spec.secret);
      } else if (item.unknown) {
        this.ok = false;
        this.unread.add(key);
      } else if (item.empty) {
        this.fail(item.place, itemPath, 'the key has no value: write one, or remove the line', spec.secret);
      } else {
        const node = spec.family
          ? { ...item, text: `${writtenKey.slice(key.indexOf('*'))} ${item.text}` }
          : item;
        const written = { key, keyPlace: place, node, path: itemPath, secret: spec.secret };
        list.push(written);
        this.written.push(written);
      }
    }
  }

  private evaluate(key: string, spec: OptionSpec<unknown>): { ok: true; value: unknown } | { ok: false } {
    const given = this.given.get(key);
    if (this.unread.has(key)) return { ok: false };
    if (given === undefined || given.length === 0) {
      if (given === undefined && spec.required) {
        this.rules.problems.report(
          this.node.place,
          this.path,
          `${key} is missing: ${this.rules.owner} needs it${spec.description === '' ? '' : ` (${spec.description.replace(/\.$/, '')})`}`,
        );
      }
      return spec.required ? { ok: false } : { ok: true, value: spec.defaultValue };
    }
    const reading = spec.read(given.map(({ node }) => node.text));
    if (reading.ok) {
      if (spec.required && Array.isArray(reading.value) && reading.value.length === 0) {
        this.fail(
          given[0]?.keyPlace ?? this.node.place,
          `${this.path}.${key}`,
          'the key has no value: write one',
        );
        return { ok: false };
      }
      return { ok: true, value: reading.value };
    }
    for (const { index, message } of reading.problems) {
      const at = given[index] ?? given[0];
      if (at !== undefined)
        this.fail(
          at.node.place,
          at.path,
          `${quote(at.node, at.secret)} ${message}`,
          at.secret || at.node.secret,
        );
    }
    return { ok: false };
  }
}

function wrongShape(node: ConfigNode, spec: OptionSpec<unknown>, alone: boolean): string {
  const wanted = spec.multiple ? 'a text or a list of texts' : 'one value';
  if (node.kind === 'map' && (spec.type === 'key value' || (spec.repeatable && alone))) {
    return `${wanted} is expected here, and this is a map: write each pair as text, - KEY VALUE`;
  }
  if (node.kind === 'map' && node.entries.length === 1 && node.entries[0]?.value.kind === 'scalar') {
    return `${wanted} is expected here, and this is a map: if a text with ": " in it is meant, put it in single quotes`;
  }
  return `${wanted} is expected here, and this is ${describeNode(node)}`;
}
