/** The context phase: what can only be said of the pipeline as a whole. Touches neither disk nor network but for TLS files. */
import { existsSync } from 'node:fs';
import { createHash } from 'node:crypto';
import type { ServiceOptions } from './definition.ts';
import type { Item } from './instances.ts';
import type { Plugins } from './plugins.ts';
import type { Problems } from './problem.ts';
import type { Written } from './read-options.ts';
import type { Place } from './source-text.ts';
import { canTake } from './tags.ts';
import type { Matcher } from './tags.ts';
import { entryOf, quoteText, textOf } from './tree.ts';
import { readNumber } from './units.ts';

/** Tags of an input as patterns; undefined when they are only known at run time. */
function tagsOf({ node, plugin, ordinal, definition, ok, values }: Item): readonly string[] | undefined {
  const tag = textOf(node, 'tag') === undefined ? `${plugin ?? ''}.${ordinal}` : values['tag'];
  if (definition === undefined || !ok || typeof tag !== 'string' || entryOf(node, 'routes') !== undefined)
    return undefined;
  if (definition.kind !== 'input' || definition.tags === undefined) return [tag];
  try {
    const tags = definition.tags(values, tag);
    return tags === 'any' ? undefined : tags;
  } catch {
    return undefined;
  }
}

/** Tags that no output takes, outputs and filters that no tag can reach. */
export function checkRouting(
  items: readonly Item[],
  matchers: ReadonlyMap<Item, Matcher>,
  problems: Problems,
): void {
  const inputs = items.filter(({ kind }) => kind === 'input');
  const outputs = items.filter(({ kind }) => kind === 'output');
  const byInput = inputs.map((item) => ({ item, tags: tagsOf(item) }));
  // A filter that is not known may make tags of its own.
  const filtersKnown = items.every(({ kind, definition }) => kind !== 'filter' || definition !== undefined);
  const certain = filtersKnown && byInput.every(({ tags }) => tags !== undefined);
  // A match whose expression is wrong could have been anything.
  const unclear = outputs.some((item) => !matchers.has(item) || (!item.ok && hasNoMatch(matchers.get(item))));
  let vanishing = false;
  for (const { item, tags } of byInput) {
    for (const tag of tags ?? []) {
      if (
        unclear ||
        outputs.length === 0 ||
        outputs.some((output) => canTake(matchers.get(output) as Matcher, tag))
      )
        continue;
      vanishing = true;
      const written = entryOf(item.node, 'tag');
      const matches = [
        ...new Set(
          outputs.map((output) => describeMatch(matchers.get(output))).filter((text) => text !== ''),
        ),
      ];
      const what =
        matches.length === 0
          ? 'no output has a match'
          : `the outputs match ${matches.slice(0, 5).join(', ')}`;
      problems.report(
        written?.value.place ?? item.node.place,
        written === undefined ? item.path : `${item.path}.tag`,
        `no output takes the tag ${quoteText(tag)}, its records would vanish: ${what}`,
      );
    }
  }
  for (const item of items) {
    const matcher = matchers.get(item);
    if (item.kind === 'input' || matcher === undefined) continue;
    if (hasNoMatch(matcher)) {
      // With a mistake in it, the match may well be what is mistyped.
      if (!item.ok) continue;
      const routed = inputs.some(({ node }) => entryOf(node, 'routes') !== undefined);
      if (item.kind === 'output' && routed) continue;
      problems.report(
        item.node.place,
        item.path,
        `match is missing: ${item.kind === 'output' ? 'it gets no record' : 'it sees no record'}; write match: '*' for all`,
        {
          level: vanishing && item.kind === 'output' ? 'error' : 'warning',
        },
      );
    } else if (
      certain &&
      inputs.length > 0 &&
      !byInput.some(({ tags }) => (tags ?? []).some((tag) => canTake(matcher, tag)))
    ) {
      const written = item.written.find(
        ({ key }) => key === (matcher.matchRegex === undefined ? 'match' : 'match_regex'),
      );
      const tags = byInput.flatMap((input) => input.tags ?? []);
      problems.warn(
        written?.node.place ?? item.node.place,
        written?.path ?? item.path,
        `no tag can reach this ${item.kind}: the match is ${describeMatch(matcher)}, the tags are ${tags.slice(0, 5).map(quoteText).join(', ')}`,
      );
    }
  }
}

function hasNoMatch(matcher: Matcher | undefined): boolean {
  return matcher?.match === undefined && matcher?.matchRegex === undefined;
}

function describeMatch(matcher: Matcher | undefined): string {
  if (matcher === undefined) return '';
  if (matcher.matchRegex !== undefined) return String(matcher.matchRegex);
  return matcher.match === undefined ? '' : quoteText(matcher.match);
}

/** Two instances of a kind with one name: metrics, logs and the state could not tell them apart. */
export function checkNames(items: readonly Item[], problems: Problems): void {
  const names = new Map<string, Item>();
  for (const item of items) {
    const key = `${item.kind} ${item.name}`;
    const other = names.get(key);
    if (other === undefined) {
      names.set(key, item);
      continue;
    }
    const written = [item, other]
      .map((one) => one.written.find((option) => option.key === 'alias'))
      .find((one) => one !== undefined);
    const first = other.written.find((option) => option.key === 'alias')?.node.place ?? other.node.place;
    const { file, line } = first.source.position(first.offset);
    problems.report(
      written?.node.place ?? item.node.place,
      written?.path ?? item.path,
      `the name ${quoteText(item.name)} is taken already, by the ${other.kind} in ${file}:${line}: choose another alias`,
    );
  }
}

interface Listener {
  host: string;
  port: number;
  udp: boolean;
  place: Place;
  path: string;
  who: string;
}

/** Two listeners on one port. */
export function checkPorts(
  items: readonly Item[],
  service: ServiceOptions,
  httpPort: Written | undefined,
  plugins: Plugins,
  problems: Problems,
): void {
  const listeners: Listener[] = [];
  for (const item of items) {
    const listener = item.kind === 'input' ? listenerOf(item, plugins) : undefined;
    if (listener !== undefined) listeners.push(listener);
  }
  const [firstInput] = listeners;
  if (service.httpServer && service.httpPort !== 0) {
    const place = httpPort?.node.place ?? firstInput?.place;
    if (place !== undefined)
      listeners.unshift({
        host: service.httpListen,
        port: service.httpPort,
        udp: false,
        place,
        path: 'service.http_port',
        who: 'the HTTP server',
      });
  }
  for (const [index, listener] of listeners.entries()) {
    const other = listeners
      .slice(0, index)
      .find(
        (one) => one.port === listener.port && one.udp === listener.udp && sameHost(one.host, listener.host),
      );
    if (other === undefined) continue;
    problems.report(
      listener.place,
      listener.path,
      `port ${listener.port} is taken by ${other.who} already: choose another port`,
    );
  }
}

/** From the text: a plugin that is not there yet has a port too. */
function listenerOf(
  { node, path, definition, plugin, values }: Item,
  plugins: Plugins,
): Listener | undefined {
  const later =
    definition === undefined && plugin !== undefined ? plugins.laterListener('input', plugin) : undefined;
  const declared =
    definition !== undefined &&
    Object.hasOwn(definition.options, 'port') &&
    Object.hasOwn(definition.options, 'listen');
  if (!declared && later?.port === undefined) return undefined;
  const mode = (
    textOf(node, 'mode') ?? (typeof values['mode'] === 'string' ? values['mode'] : '')
  ).toLowerCase();
  if (mode.startsWith('unix') || (plugin === 'syslog' && mode === '')) return undefined;
  const entry = entryOf(node, 'port');
  const text = textOf(node, 'port');
  const reading = text === undefined ? undefined : readNumber(text, { min: 1, max: 65_535 }, true);
  const fallback = declared ? values['port'] : later?.port;
  const port = reading === undefined ? fallback : reading.ok ? reading.value : undefined;
  if (typeof port !== 'number' || port === 0) return undefined;
  const host =
    textOf(node, 'listen') ?? (typeof values['listen'] === 'string' ? values['listen'] : '127.0.0.1');
  const place = entry?.value.place ?? node.place;
  const { file, line } = place.source.position(place.offset);
  return {
    host,
    port,
    udp: mode.includes('udp') || (later?.udp ?? false),
    place,
    path: entry === undefined ? path : `${path}.port`,
    who: `the input ${plugin ?? ''} in ${file}:${line}`,
  };
}

function sameHost(a: string, b: string): boolean {
  const any = (host: string): boolean => host === '0.0.0.0' || host === '::';
  const loopback = (host: string): boolean =>
    host === 'localhost' || host === '::1' || host.startsWith('127.');
  return a === b || any(a) || any(b) || (loopback(a) && loopback(b));
}

/**
 * Names in the state (DELIVERY.md, rule 7): the alias, else the plugin's name; several unnamed instances of a plugin are told
 * apart by a hash of their target options, never by their number.
 */
export function stateNames(items: readonly Item[], problems: Problems): Map<Item, string> {
  const names = new Map<Item, string>();
  const unnamed = new Map<string, Item[]>();
  const taken = new Map<string, Item>();
  for (const item of items) {
    if (item.definition === undefined || item.kind === 'filter') continue;
    const alias = item.values['alias'];
    if (typeof alias === 'string' && alias !== '') {
      names.set(item, alias);
      taken.set(`${item.kind} ${alias}`, item);
      continue;
    }
    const key = `${item.kind} ${item.definition.name}`;
    unnamed.set(key, [...(unnamed.get(key) ?? []), item]);
  }
  for (const group of unnamed.values()) {
    for (const item of group) {
      const { kind, definition, node, path } = item;
      const plugin = definition?.name ?? '';
      const name = group.length === 1 ? plugin : `${plugin}#${hashOf(targetOf(item, group))}`;
      const other = taken.get(`${kind} ${name}`);
      names.set(item, name);
      if (other === undefined) {
        taken.set(`${kind} ${name}`, item);
      } else if (keepsState(item)) {
        const { file, line } = other.node.place.source.position(other.node.place.offset);
        problems.report(
          node.place,
          path,
          `after a restart nothing would tell this ${kind} from the one in ${file}:${line}, and positions are kept for each: give one of them an alias`,
        );
      } else {
        names.set(item, `${name}.${item.ordinal}`);
      }
    }
  }
  return names;
}

function targetKeys({ definition, kind }: Item): readonly string[] {
  if (definition === undefined || !('target' in definition) || definition.target === undefined) {
    return kind === 'input' && definition !== undefined && Object.hasOwn(definition.options, 'path')
      ? ['path']
      : [];
  }
  return definition.target;
}

/** Outputs have marks, inputs that read again have positions; the others keep nothing. */
function keepsState(item: Item): boolean {
  return item.kind === 'output' || targetKeys(item).length > 0;
}

/** What tells an instance apart: where it reads or writes, and only if that is the same, which tags. */
function targetOf(item: Item, group: readonly Item[]): string {
  const keys = targetKeys(item);
  const target = textsOf(item, keys);
  const alone = group.every((other) => other === item || textsOf(other, keys) !== target);
  return alone
    ? target
    : textsOf(item, [...keys, ...(item.kind === 'input' ? ['tag'] : ['match', 'match_regex'])]);
}

function textsOf({ written }: Item, keys: readonly string[]): string {
  return JSON.stringify(
    written.filter(({ key }) => keys.includes(key)).map(({ key, node }) => [key, node.text]),
  );
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** Files of keys and certificates must be there. */
export function checkTlsFiles(items: readonly Item[], problems: Problems): void {
  for (const { definition, values, written } of items) {
    if (definition === undefined || !Object.hasOwn(definition.options, 'tls') || values['tls'] !== true)
      continue;
    for (const { key, node, path } of written) {
      if (!/^tls\.(?:ca_file|ca_path|crt_file|key_file)$/.test(key) || existsSync(node.text)) continue;
      problems.report(
        node.place,
        path,
        `there is no ${key === 'tls.ca_path' ? 'directory' : 'file'} ${quoteText(node.text)}: check the path`,
      );
    }
  }
}
