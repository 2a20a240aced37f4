/** YAML text → tree. Hostile text (alias bombs, loops, endless nesting) ends in a problem. */
import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, Node, ParsedNode, YAMLMap } from 'yaml';
import type { Problems } from './problem.ts';
import type { SourceText } from './source-text.ts';
import type { ConfigNode, ListNode, MapEntry, MapNode } from './tree.ts';
import { explainErrors } from './yaml-errors.ts';

/** Nodes of one file with all aliases expanded. */
const MAX_NODES = 100_000;
const MAX_DEPTH = 64;

/** Sections and instructions of the classic format. */
const CLASSIC =
  /^\s*(?:\[(?:SERVICE|INPUT|FILTER|OUTPUT|CUSTOM|PARSER|MULTILINE_PARSER)\]\s*$|@(?:INCLUDE|SET)\s)/im;

/** What word processors make of spaces and quotes, where YAML wants the plain ones. */
const TYPOGRAPHIC =
  /^[ \t]*(?:- *)?[\u00a0\u202f\u3000]|^[ \t]*(?:- +)?[\w.]+:(?:[\u00a0\u202f\u3000]| +[\u2018\u2019\u201c\u201d\u201e])/m;

/** The document's tree; undefined when there is none, with a problem unless the file is empty. */
export function readYaml(source: SourceText, problems: Problems): ConfigNode | undefined {
  const classic = CLASSIC.exec(source.text);
  if (classic !== null && !/^\s*pipeline\s*:/im.test(source.text)) {
    const offset = classic.index + classic[0].search(/\S/);
    problems.report(
      { source, offset },
      '',
      "this is Fluent Bit's classic format, Tailrace reads its YAML format: write the sections as YAML (service:, pipeline: with inputs, filters and outputs)",
    );
    return undefined;
  }
  const typographic = TYPOGRAPHIC.exec(source.text);
  if (typographic !== null) {
    const offset = typographic.index + typographic[0].length - 1;
    const what = /[\u00a0\u202f\u3000]$/.test(typographic[0])
      ? 'a no-break space stands here, which is no space for YAML: write an ordinary one'
      : 'a typographic quote begins here, which is no quote for YAML: write \' or "';
    problems.report({ source, offset }, '', what);
    return undefined;
  }
  let document: Document.Parsed;
  try {
    // The schema with nothing but text: what a text means is the business of the option that it is for.
    document = parseDocument(source.text, {
      schema: 'failsafe',
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'silent',
    });
  } catch (error) {
    // The parser recurses: text that is nested without end exhausts the stack.
    problems.report(
      { source, offset: 0 },
      '',
      `this is no valid YAML (${error instanceof RangeError ? 'nested too deeply' : String(error)})`,
    );
    return undefined;
  }
  if (document.errors.length > 0) {
    for (const { offset, message } of explainErrors(document, source))
      problems.report({ source, offset }, '', message);
    return undefined;
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === ''))
    return undefined;
  const tree = new TreeBuilder(source, problems).build(document.contents);
  for (const { code, pos } of document.warnings) {
    if (code !== 'TAG_RESOLVE_FAILED' || source.text.startsWith('!!', pos[0])) continue;
    problems.report(
      { source, offset: pos[0] },
      '',
      'a value that begins with ! is a tag in YAML, and there are none here: put the value in quotes',
    );
  }
  return tree;
}

/** Thrown once the rest of the document makes no sense any more. */
class Abandoned extends Error {}

class TreeBuilder {
  private readonly source: SourceText;
  private readonly problems: Problems;
  private readonly anchors = new Map<string, Node>();
  private readonly open = new Set<Node>();
  private nodes = 0;

  constructor(source: SourceText, problems: Problems) {
    this.source = source;
    this.problems = problems;
  }

  build(contents: ParsedNode): ConfigNode | undefined {
    try {
      return this.convert(contents, 0, 0);
    } catch (error) {
      if (!(error instanceof Abandoned)) throw error;
      return undefined;
    }
  }

  /** `fallback` is the offset to name for a value that is not written at all. */
  private convert(node: unknown, fallback: number, depth: number): ConfigNode {
    const offset = offsetOf(node) ?? fallback;
    const place = { source: this.source, offset };
    if (++this.nodes > MAX_NODES)
      this.abandon(
        offset,
        `the document is larger than ${MAX_NODES} values (aliases multiply what they stand for)`,
      );
    if (depth > MAX_DEPTH) this.abandon(offset, `the document is nested deeper than ${MAX_DEPTH} levels`);
    if (isAlias(node)) return this.resolve(node.source, offset, depth);
    if (isScalar(node)) {
      this.remember(node);
      const text = typeof node.value === 'string' ? node.value : String(node.value);
      const empty = text === '' && (node.type === undefined || node.type === 'PLAIN');
      return {
        kind: 'scalar',
        place: empty ? { source: this.source, offset: fallback } : place,
        text,
        empty,
        secret: false,
      };
    }
    if (isSeq(node)) {
      this.remember(node);
      this.open.add(node);
      const list: ListNode = {
        kind: 'list',
        place,
        items: node.items.map((item) => this.convert(item, offset, depth + 1)),
      };
      this.open.delete(node);
      return list;
    }
    if (isMap(node)) {
      this.remember(node);
      this.open.add(node);
      const map = this.convertMap(node, offset, depth);
      this.open.delete(node);
      return map;
    }
    return { kind: 'scalar', place, text: '', empty: true, secret: false };
  }

  private convertMap(node: YAMLMap, offset: number, depth: number): MapNode {
    const entries: MapEntry[] = [];
    const merged: MapEntry[] = [];
    for (const { key, value } of node.items) {
      const keyOffset = offsetOf(key) ?? offset;
      if (!isScalar(key)) {
        this.problems.report(
          { source: this.source, offset: keyOffset },
          '',
          'a key must be a plain text; if this is a template ({{ … }}), it was not filled in, or needs quotes',
        );
        continue;
      }
      const text = String(key.value);
      const converted = this.convert(value, keyOffset, depth + 1);
      if (text === '<<' && key.type === 'PLAIN') {
        for (const part of converted.kind === 'list' ? converted.items : [converted])
          if (part.kind === 'map') merged.push(...part.entries);
        continue;
      }
      entries.push({ key: text, place: { source: this.source, offset: keyOffset }, value: converted });
    }
    // What is written beside `<<: *defaults` wins over it.
    const written = new Set(entries.map((entry) => entry.key));
    entries.push(...merged.filter((entry) => !written.has(entry.key) && written.add(entry.key)));
    return { kind: 'map', place: { source: this.source, offset }, entries };
  }

  private resolve(anchor: string, offset: number, depth: number): ConfigNode {
    const target = this.anchors.get(anchor);
    if (target === undefined) {
      this.problems.report(
        { source: this.source, offset },
        '',
        "a value that begins with * is an alias in YAML, and nothing above has that anchor: put the value in quotes ('*.log')",
      );
      return { kind: 'scalar', place: { source: this.source, offset }, text: '', empty: true, secret: false };
    }
    if (this.open.has(target)) this.abandon(offset, 'the alias stands within what it stands for');
    return this.convert(target, offset, depth + 1);
  }

  private remember(node: Node): void {
    if ('anchor' in node && typeof node.anchor === 'string') this.anchors.set(node.anchor, node);
  }

  private abandon(offset: number, message: string): never {
    this.problems.report({ source: this.source, offset }, '', message);
    throw new Abandoned();
  }
}

function offsetOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range))
    return undefined;
  const [offset] = node.range as unknown[];
  return typeof offset === 'number' ? offset : undefined;
}
