/**
 * Variables and where they are filled in: `${NAME}` and `${NAME:-default}` in texts of the parsed document, never in the file's
 * text, so that a value cannot change the document's structure. Filled-in text is not looked at again.
 */
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { readText } from './files.ts';
import type { Problems } from './problem.ts';
import { suggestion } from './suggest.ts';
import type { ConfigNode, Located, MapNode } from './tree.ts';
import { describeNode, quote } from './tree.ts';

interface Variable {
  value: string;
  secret: boolean;
}

const REFERENCE = /\$\{([^}]*)\}/g;
const NAME = /^[A-Za-z_][\w.-]*$/;

/** A variable that most probably holds a password: its value is shown nowhere. */
const SECRET_NAME = /pass|pwd|secret|token|key|cred/i;

export class Environment {
  private readonly own = new Map<string, Variable>();
  private readonly process: Readonly<Record<string, string | undefined>>;

  constructor(processEnv: Readonly<Record<string, string | undefined>>) {
    this.process = processEnv;
  }

  /** Takes in an `env` section; what is defined already stays. */
  async define({ node, path }: Located, problems: Problems): Promise<void> {
    if (node.kind === 'map') {
      for (const entry of node.entries) {
        const entryPath = `${path}.${entry.key}`;
        this.checkName(entry.key, entry.place, entryPath, problems);
        if (entry.value.kind !== 'scalar') {
          problems.report(
            entry.value.place,
            entryPath,
            `a variable is a text, and this is ${describeNode(entry.value)}`,
            { secret: true },
          );
        } else if (!this.own.has(entry.key)) {
          const value = this.fill(entry.value, entryPath, problems) as typeof entry.value;
          this.own.set(entry.key, { value: value.text, secret: value.secret });
        }
      }
    } else if (node.kind === 'list') {
      for (const [index, item] of node.items.entries())
        await this.defineListed({ node: item, path: `${path}[${index}]` }, problems);
    } else if (!node.empty) {
      problems.report(
        node.place,
        path,
        `env is a map (NAME: value) or a list of name and value, and this is ${describeNode(node)}`,
      );
    }
  }

  /** `{name, value}` or `{name, uri: file:///…}`. */
  private async defineListed({ node, path }: Located, problems: Problems): Promise<void> {
    if (node.kind !== 'map') {
      problems.report(
        node.place,
        path,
        `an item of env is a map with name and value (or uri), and this is ${describeNode(node)}`,
      );
      return;
    }
    const known = ['name', 'value', 'uri', 'refresh_interval'];
    const fields: Record<string, { text: string; place: MapNode['place'] }> = {};
    for (const { key, value, place } of node.entries) {
      const lower = key.toLowerCase();
      if (!known.includes(lower)) {
        const meant = suggestion(key, known);
        problems.report(
          place,
          `${path}.${key}`,
          `unknown key${meant === undefined ? ': a variable has name, and value or uri' : ` — did you mean "${meant}"?`}`,
          { secret: true },
        );
      } else if (value.kind !== 'scalar') {
        problems.report(
          value.place,
          `${path}.${key}`,
          `${lower} is a text, and this is ${describeNode(value)}`,
          { secret: true },
        );
      } else {
        const filled =
          lower === 'name' ? value : (this.fill(value, `${path}.${key}`, problems) as typeof value);
        fields[lower] = { text: filled.text, place: value.place };
        if (lower === 'refresh_interval')
          problems.note(place, `${path}.${key}`, 'has no effect: the file is read again at every reload');
      }
    }
    const { name, value, uri } = fields;
    if (name === undefined) {
      problems.report(node.place, path, 'name is missing: a variable has name, and value or uri');
      return;
    }
    this.checkName(name.text, name.place, path, problems);
    if ((value === undefined) === (uri === undefined)) {
      problems.report(
        name.place,
        path,
        value === undefined
          ? 'value is missing: write value, or uri: file:///…'
          : 'value and uri are both there: write one of them',
        { secret: true },
      );
      return;
    }
    if (this.own.has(name.text)) return;
    if (value !== undefined) this.own.set(name.text, { value: value.text, secret: false });
    if (uri !== undefined)
      this.own.set(name.text, { value: (await readUri(uri, path, problems)) ?? '', secret: true });
  }

  private checkName(name: string, place: MapNode['place'], path: string, problems: Problems): void {
    if (!NAME.test(name))
      problems.report(
        place,
        path,
        `the name of a variable holds letters, digits, _, . and -, and begins with no digit`,
        { secret: true },
      );
  }

  /** The node with all variables filled in; the undefined ones are problems. */
  fill(node: ConfigNode, path: string, problems: Problems): ConfigNode {
    if (node.kind === 'list') {
      return {
        ...node,
        items: node.items.map((item, index) => this.fill(item, `${path}[${index}]`, problems)),
      };
    }
    if (node.kind === 'map') {
      const entries = node.entries.map((entry) => ({
        ...entry,
        value: this.fill(entry.value, `${path}.${entry.key}`, problems),
      }));
      return { ...node, entries };
    }
    if (!node.text.includes('${')) return node;
    if (/\$\{[^}]*$/.test(node.text)) {
      problems.warn(node.place, path, 'a ${ has no closing brace, so no variable is filled in there');
    }
    let { secret } = node;
    let unknown = false;
    const text = node.text.replace(REFERENCE, (written, inner: string, at: number) => {
      const split = inner.indexOf(':-');
      const name = split < 0 ? inner : inner.slice(0, split);
      if (!NAME.test(name) || inner.includes('${')) {
        const reason = inner.includes('${')
          ? 'variables cannot stand within one another'
          : 'that is no name of a variable; a literal ${ cannot be written here, but a variable can hold it';
        problems.report(node.place, path, `${quote({ ...node, text: written })}: ${reason}`);
        unknown = true;
        return '';
      }
      const variable = this.lookup(name);
      // As in a shell: an empty variable takes the default too.
      if (split >= 0 && (variable === undefined || variable.value === '')) return inner.slice(split + 2);
      if (variable === undefined) {
        const meant = suggestion(name, [...this.own.keys(), ...Object.keys(this.process)]);
        const place = { source: node.place.source, offset: placeOf(node, written, at) };
        problems.report(
          place,
          path,
          `the variable ${name} is not defined${meant === undefined ? '' : ` — did you mean \${${meant}}?`}: set it in the environment or under env, or write a default, \${${name}:-…}`,
        );
        unknown = true;
        return '';
      }
      secret ||= variable.secret || SECRET_NAME.test(name);
      return variable.value;
    });
    return { ...node, text, secret, empty: false, ...(unknown ? { unknown } : {}) };
  }

  private lookup(name: string): Variable | undefined {
    const own = this.own.get(name);
    if (own !== undefined) return own;
    const value = Object.hasOwn(this.process, name) ? this.process[name] : undefined;
    if (value !== undefined) return { value, secret: false };
    return name === 'HOSTNAME' ? { value: hostname(), secret: false } : undefined;
  }
}

/** Where a reference stands: exact for a text on one line, else the text's beginning. */
function placeOf(node: { place: MapNode['place'] }, written: string, at: number): number {
  const { source, offset } = node.place;
  const found = source.text.indexOf(written, offset + at);
  const end = source.text.indexOf('\n', offset);
  return found >= 0 && (end < 0 || found < end) ? found : offset;
}

async function readUri(
  uri: { text: string; place: MapNode['place'] },
  path: string,
  problems: Problems,
): Promise<string | undefined> {
  if (!uri.text.startsWith('file://')) {
    problems.report(uri.place, `${path}.uri`, 'only files can be read: write uri: file:///path/of/the/file');
    return undefined;
  }
  try {
    // The last line end belongs to the file, not to the password in it.
    return (await readText(fileURLToPath(uri.text))).replace(/\r?\n$/, '');
  } catch (error) {
    problems.report(uri.place, `${path}.uri`, `the file cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}
