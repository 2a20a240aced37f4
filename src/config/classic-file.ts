/**
 * Fluent Bit's classic format, as far as a `parsers_file` needs it → tree:
 *
 *     [PARSER]                          # a comment
 *         Name   docker
 *         Format json
 *     [MULTILINE_PARSER]
 *         rule "start_state" "/^\[/" "cont"
 *
 * Sections become the items of the lists `parsers` and `multiline_parsers`, a rule an item of the list `rules`.
 */
import type { Problems } from './problem.ts';
import type { SourceText } from './source-text.ts';
import { suggestion } from './suggest.ts';
import type { ListNode, MapEntry, MapNode, ScalarNode } from './tree.ts';
import { entryOf } from './tree.ts';

const SECTIONS: Readonly<Record<string, string>> = {
  PARSER: 'parsers',
  MULTILINE_PARSER: 'multiline_parsers',
};

/** Whether a text is in the classic format: its first line that says something is a section or an instruction. */
export function isClassic(text: string): boolean {
  return /^(?:\s*(?:#.*)?\n)*\s*(?:\[[A-Za-z_]+\]\s*(?:#.*)?(?:\n|$)|@)/.test(text);
}

export function readClassic(source: SourceText, problems: Problems): MapNode {
  const lists: Record<string, ListNode> = {};
  const root: MapNode = { kind: 'map', place: { source, offset: 0 }, entries: [] };
  let section: MapNode | undefined;
  for (const [lineStart, line] of linesOf(source.text)) {
    const trimmed = line.trim();
    const place = { source, offset: lineStart + line.length - line.trimStart().length };
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const name = /^\[\s*([A-Za-z_]+)\s*\]$/.exec(trimmed)?.[1]?.toUpperCase();
    if (name !== undefined) {
      section = { kind: 'map', place, entries: [] };
      const list = SECTIONS[name];
      if (list === undefined) {
        const meant = suggestion(name, Object.keys(SECTIONS));
        problems.report(
          place,
          '',
          `the section [${name}] has no place in a parsers file${meant === undefined ? ': it holds [PARSER] and [MULTILINE_PARSER]' : ` — did you mean [${meant}]?`}`,
        );
        continue;
      }
      let node = lists[list];
      if (node === undefined) {
        node = { kind: 'list', place, items: [] };
        lists[list] = node;
        root.entries.push({ key: list, place, value: node });
      }
      node.items.push(section);
    } else if (trimmed.startsWith('@')) {
      problems.report(
        place,
        '',
        'instructions (@INCLUDE, @SET) are not understood in a parsers file: name each file under parsers_file',
      );
    } else if (section === undefined) {
      problems.report(place, '', 'a key stands before the first section: begin with [PARSER]');
    } else {
      addEntry(section, line, lineStart, source, problems);
    }
  }
  return root;
}

function addEntry(
  section: MapNode,
  line: string,
  lineStart: number,
  source: SourceText,
  problems: Problems,
): void {
  const [, indent = '', key = '', gap = '', rest = ''] = /^(\s*)(\S+)(\s*)(.*?)\s*$/.exec(line) ?? [];
  const place = { source, offset: lineStart + indent.length };
  const valuePlace = { source, offset: place.offset + key.length + gap.length };
  const scalar = (text: string, empty = false): ScalarNode => ({
    kind: 'scalar',
    place: valuePlace,
    text,
    empty,
    secret: false,
  });
  if (key.toLowerCase() !== 'rule') {
    section.entries.push({ key, place, value: scalar(rest, rest === '') });
    return;
  }
  const [state, regex, next] = [...rest.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) =>
    (match[1] ?? '').replace(/\\"/g, '"'),
  );
  if (state === undefined || regex === undefined || next === undefined) {
    problems.report(
      valuePlace,
      '',
      'a rule has three parts in double quotes: rule "state" "/regex/" "next state"',
    );
    return;
  }
  const entry = (name: string, text: string): MapEntry => ({ key: name, place, value: scalar(text) });
  const rule: MapNode = {
    kind: 'map',
    place,
    entries: [entry('state', state), entry('regex', regex), entry('next_state', next)],
  };
  const rules = entryOf(section, 'rules')?.value;
  if (rules?.kind === 'list') rules.items.push(rule);
  else section.entries.push({ key: 'rules', place, value: { kind: 'list', place, items: [rule] } });
}

function* linesOf(text: string): Generator<[number, string]> {
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf('\n', start);
    const stop = end < 0 ? text.length : end;
    yield [start, text.slice(start, stop).replace(/\r$/, '')];
    start = stop + 1;
  }
}
