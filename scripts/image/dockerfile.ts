/**
 * Reads a Dockerfile: stages with their instructions. Of the language only what ours uses; all else is an error, so that nothing of the
 * file is passed over by who carries it out.
 */

export interface Instruction {
  line: number;
  name: string;
  /** `--from=build` and the like. */
  flags: Readonly<Record<string, string>>;
  /** What is behind the name and the flags, continuation lines joined. */
  text: string;
}

export interface Stage {
  image: string;
  /** Undefined for the last one, as a rule. */
  name: string | undefined;
  instructions: Instruction[];
}

export interface Dockerfile {
  /** Of the ARGs in front of the first stage. */
  args: ReadonlyMap<string, string>;
  stages: Stage[];
}

const KNOWN = new Set(
  'FROM ARG WORKDIR COPY RUN LABEL ENV VOLUME USER EXPOSE HEALTHCHECK STOPSIGNAL ENTRYPOINT CMD'.split(' '),
);

/** Lines that belong together, comments gone. */
function* logicalLines(text: string): Generator<{ line: number; text: string }> {
  let start = 0;
  let joined = '';
  for (const [index, each] of text.split('\n').entries()) {
    if (/^\s*#/.test(each) || (joined === '' && each.trim() === '')) continue;
    if (joined === '') start = index + 1;
    if (each.endsWith('\\')) {
      joined += `${each.slice(0, -1)} `;
      continue;
    }
    yield { line: start, text: (joined + each).trim() };
    joined = '';
  }
}

function instruction({ line, text }: { line: number; text: string }): Instruction {
  const [, name = '', rest = ''] = /^([A-Za-z]+)\s+(.*)$/s.exec(text) ?? [];
  if (!KNOWN.has(name)) throw new Error(`Dockerfile:${line}: ${name || text} is not carried out here.`);
  const flags: Record<string, string> = {};
  let left = rest;
  for (let match; (match = /^--([a-z-]+)=(\S+)\s+/.exec(left)) !== null;) {
    const [all, flag = '', value = ''] = match;
    flags[flag] = value;
    left = left.slice(all.length);
  }
  return { line, name, flags, text: left };
}

/** Throws a sentence for what it does not know. */
export function readDockerfile(text: string): Dockerfile {
  const args = new Map<string, string>();
  const stages: Stage[] = [];
  for (const line of logicalLines(text)) {
    const read = instruction(line);
    const stage = stages.at(-1);
    if (read.name === 'FROM') {
      const [image = '', as, name] = read.text.split(/\s+/);
      stages.push({ image, name: as === 'AS' ? name : undefined, instructions: [] });
    } else if (stage !== undefined) stage.instructions.push(read);
    else if (read.name === 'ARG') {
      const [key = '', value = ''] = read.text.split('=');
      args.set(key, value);
    } else throw new Error(`Dockerfile:${read.line}: ${read.name} stands before the first FROM.`);
  }
  return { args, stages };
}

/** `"a" "b"` in brackets. */
export function execForm(text: string): string[] {
  if (!text.startsWith('[')) throw new Error(`Not in exec form, so a shell would get its signals: ${text}`);
  return JSON.parse(text) as string[];
}

/** The pairs of ENV and LABEL, variables filled in. */
export function pairs(text: string, variables: ReadonlyMap<string, string>): [string, string][] {
  return [...text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S*))/g)].map(([, key = '', quoted, plain = '']) => [
    key,
    fill(quoted ?? plain, variables),
  ]);
}

/** `${NAME}`, of those that are known; an unknown one is an error. */
export function fill(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_all, name: string) => {
    const value = variables.get(name);
    if (value === undefined) throw new Error(`The Dockerfile uses ${name}, which it does not define.`);
    return value;
  });
}
