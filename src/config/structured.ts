/**
 * Checks what Tailrace does not have yet but knows the shape of, and refuses it: routes of inputs, processors of inputs and
 * outputs, and the sections `stream_processor`, `customs` and `upstream_servers`.
 */
import type { Section } from './documents.ts';
import type { Item } from './items.ts';
import { listMaps } from './parsers.ts';
import type { Problems } from './problem.ts';
import { suggestion } from './suggest.ts';
import type { Located, MapNode } from './tree.ts';
import { describeNode, entryOf, isEmpty, quote, textOf } from './tree.ts';
import { readBoolean } from './units.ts';

const SIGNALS = ['logs', 'metrics', 'traces', 'profiles', 'any'];
const OPERATORS = ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'in', 'not_in', 'regex', 'not_regex'];

/** Routes and processors of all plugins. */
export function checkStructured(items: readonly Item[], problems: Problems): void {
  const outputs = new Set<string>();
  for (const { kind, name, plugin, ordinal } of items) {
    if (kind !== 'output') continue;
    outputs.add(name);
    if (plugin !== undefined) outputs.add(plugin).add(`${plugin}.${ordinal}`);
  }
  for (const { node, path } of items) {
    const routes = entryOf(node, 'routes');
    if (routes !== undefined && !isEmpty(routes.value)) {
      problems.report(
        routes.place,
        `${path}.routes`,
        'Tailrace does not have routes yet: use match of the outputs instead',
      );
      checkRoutes({ node: routes.value, path: `${path}.routes` }, outputs, problems);
    }
    const processors = entryOf(node, 'processors');
    if (processors !== undefined && !isEmpty(processors.value)) {
      problems.report(
        processors.place,
        `${path}.processors`,
        'Tailrace does not have processors yet: use filters instead',
      );
      for (const list of signals({ node: processors.value, path: `${path}.processors` }, problems)) {
        for (const item of listMaps(list, 'a processor', problems)) {
          if (textOf(item.node, 'name') === undefined)
            problems.report(item.node.place, item.path, 'name is missing: which processor is it?');
          checkCondition(item, problems);
        }
      }
    }
  }
}

/** The lists per signal. */
function signals({ node, path }: Located, problems: Problems): Located[] {
  if (node.kind !== 'map') {
    problems.report(node.place, path, `a map with logs is expected here, and this is ${describeNode(node)}`);
    return [];
  }
  return node.entries.flatMap(({ key, place, value }) => {
    if (SIGNALS.includes(key.toLowerCase())) return [{ node: value, path: `${path}.${key}` }];
    const meant = suggestion(key, SIGNALS);
    problems.report(
      place,
      `${path}.${key}`,
      `unknown key${meant === undefined ? `: there are ${SIGNALS.join(', ')}` : ` — did you mean "${meant}"?`}`,
    );
    return [];
  });
}

function checkRoutes(routes: Located, outputs: ReadonlySet<string>, problems: Problems): void {
  for (const list of signals(routes, problems)) {
    for (const route of listMaps(list, 'a route', problems)) {
      checkCondition(route, problems);
      const to = entryOf(route.node, 'to');
      if (to === undefined || to.value.kind !== 'map') {
        problems.report(
          to?.value.place ?? route.node.place,
          `${route.path}.to`,
          'a route needs to: {outputs: [name]}',
        );
        continue;
      }
      for (const key of ['outputs', 'fallback']) {
        const names = entryOf(to.value, key)?.value;
        if (names !== undefined)
          checkNames({ node: names, path: `${route.path}.to.${key}` }, outputs, problems);
      }
    }
  }
}

function checkNames({ node, path }: Located, outputs: ReadonlySet<string>, problems: Problems): void {
  const items = node.kind === 'list' ? node.items : [node];
  for (const [index, item] of items.entries()) {
    const itemPath = node.kind === 'list' ? `${path}[${index}]` : path;
    if (item.kind !== 'scalar') {
      problems.report(
        item.place,
        itemPath,
        `the name of an output is expected here, and this is ${describeNode(item)}`,
      );
    } else if (!outputs.has(item.text)) {
      const meant = suggestion(item.text, outputs);
      problems.report(
        item.place,
        itemPath,
        `there is no output ${quote(item)}${meant === undefined ? `: there are ${[...outputs].join(', ')}; a route names an alias` : ` — did you mean "${meant}"?`}`,
      );
    }
  }
}

function checkCondition({ node, path }: Located<MapNode>, problems: Problems): void {
  const condition = entryOf(node, 'condition');
  if (condition === undefined || condition.value.kind !== 'map') return;
  const rules = entryOf(condition.value, 'rules');
  if (rules === undefined) return;
  for (const rule of listMaps({ node: rules.value, path: `${path}.condition.rules` }, 'a rule', problems)) {
    for (const key of ['field', 'op']) {
      if (entryOf(rule.node, key) === undefined)
        problems.report(rule.node.place, rule.path, `${key} is missing: a rule has field, op and value`);
    }
    const op = entryOf(rule.node, 'op')?.value;
    if (op?.kind === 'scalar' && !OPERATORS.includes(op.text.toLowerCase())) {
      const meant = suggestion(op.text, OPERATORS);
      problems.report(
        op.place,
        `${rule.path}.op`,
        `${quote(op)} is none of ${OPERATORS.join(', ')}${meant === undefined ? '' : ` — did you mean "${meant}"?`}`,
      );
    }
  }
}

/** Sections that do something in Fluent Bit and nothing here. */
export function checkLaterSections(sections: readonly Section[], problems: Problems): void {
  for (const { name, node, path, place } of sections) {
    if (isEmpty(node)) continue;
    if (name === 'stream_processor')
      problems.report(place, path, 'Tailrace has no stream processor yet: remove the section');
    if (name === 'customs')
      problems.report(place, path, 'Tailrace has no custom plugins: remove the section');
    if (name === 'upstream_servers') checkUpstreams({ node, path }, place, problems);
  }
}

function checkUpstreams(section: Located, place: Section['place'], problems: Problems): void {
  problems.note(place, section.path, 'has no effect: no output uses upstream servers yet');
  for (const server of listMaps(section, 'an upstream server', problems)) {
    if (textOf(server.node, 'name') === undefined)
      problems.report(
        server.node.place,
        server.path,
        'name is missing: an upstream server has name and nodes',
      );
    const nodes = entryOf(server.node, 'nodes');
    if (nodes === undefined) {
      problems.report(
        server.node.place,
        server.path,
        'nodes is missing: an upstream server has name and nodes',
      );
      continue;
    }
    for (const item of listMaps({ node: nodes.value, path: `${server.path}.nodes` }, 'a node', problems)) {
      for (const key of ['name', 'host', 'port']) {
        if (textOf(item.node, key) === undefined)
          problems.report(item.node.place, item.path, `${key} is missing: a node has name, host and port`);
      }
      const tls = entryOf(item.node, 'tls')?.value;
      const reading = tls?.kind === 'scalar' ? readBoolean(tls.text) : undefined;
      if (tls !== undefined && reading?.ok === false)
        problems.report(tls.place, `${item.path}.tls`, `${describeNode(tls)} ${reading.message}`);
    }
  }
}
