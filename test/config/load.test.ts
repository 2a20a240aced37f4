import { describe, expect, it } from 'vitest';
import type { FilterInstance } from '../../src/config/definition.ts';
import { fingerprintOf } from '../../src/pipeline/build.ts';
import { accepted, define, lines, loadText, PIPELINE, Workspace } from './workspace.ts';

const withTag = (tag: string): string =>
  PIPELINE.replace('- name: dummy', `- name: dummy\n      tag: ${tag}`);

const withParser = (head: string, parser: string): string =>
  `${head}pipeline:\n  inputs:\n    - name: stdin\n      parser: ${parser}\n  outputs:\n    - name: stdout\n      match: '*'\n`;

const withOutputs = (text: string): string => `pipeline:\n  inputs:\n    - name: dummy\n  outputs:\n${text}`;

const fingerprint = async (text: string, env: Record<string, string> = {}): Promise<string | undefined> =>
  (await define(PIPELINE.replace("match: '*'", text), env)).outputs[0]?.fingerprint;

describe('a pipeline that is right', () => {
  it('has the defaults', async () => {
    const { service, inputs, outputs } = await define(PIPELINE);
    expect(service).toMatchObject({
      flush: 1,
      grace: 5,
      logLevel: 'info',
      httpServer: false,
      httpListen: '127.0.0.1',
      httpPort: 2020,
      schedulerBase: 1,
      schedulerCap: 30,
      memoryLimit: 16_000_000,
      deadLettersLimit: 64_000_000,
      deadLettersMaxAge: 30 * 86_400,
      statePath: undefined,
    });
    expect(inputs[0]).toMatchObject({
      name: 'dummy.0',
      tag: 'dummy.0',
      alias: undefined,
      stateName: 'dummy',
      memBufLimit: 0,
    });
    expect(outputs[0]).toMatchObject({
      name: 'stdout.0',
      match: '*',
      retryLimit: 'no_limits',
      workers: undefined,
    });
  });

  it('takes keys in any case, and values as numbers, booleans or texts', async () => {
    const { service, inputs, outputs } = await define(`SERVICE:
  Flush: 0.2
  GRACE: '2'
  HTTP_Server: Off
  hot_reload: true
  http_token: 0755
Pipeline:
  Inputs:
    - Name: DUMMY
      TAG: 007
      Mem_Buf_Limit: 5MB
      Log_Level: Debug
  Outputs:
    - NAME: stdout
      Match: '*'
      Retry_Limit: False
      workers: 2
    - name: null
      match: '*'
      retry_limit: 7
`);
    expect(service).toMatchObject({ flush: 0.2, grace: 2, httpServer: false, hotReload: true });
    expect(service.httpToken?.reveal()).toBe('0755');
    expect(inputs[0]).toMatchObject({ tag: '007', memBufLimit: 5_000_000, logLevel: 'debug' });
    expect(outputs.map(({ retryLimit, workers }) => [retryLimit, workers])).toEqual([
      ['no_limits', 2],
      [7, undefined],
    ]);
  });

  it('hands the rules of a plugin on in the order in which they stand', async () => {
    const { filters } = await define(`pipeline:
  inputs:
    - name: dummy
  filters:
    - name: modify
      match: '*'
      Rename: [a b, b c]
      Set: x 1
      Add: y 2
      add: z 3
  outputs:
    - name: stdout
      match: '*'
`);
    expect(filters[0]?.entries.map(({ key, value }) => `${key.toLowerCase()} ${value}`)).toEqual([
      'rename a b',
      'rename b c',
      'set x 1',
      'add y 2',
      'add z 3',
    ]);
  });

  it('says which keys of Fluent Bit have no effect, and runs', async () => {
    const result = await loadText(`service:
  coro_stack_size: 24576
  storage.trim_files: on
pipeline:
  inputs:
    - name: dummy
      threaded: on
  outputs:
    - name: stdout
      match: '*'
      net.keepalive: off
`);
    accepted(result);
    expect(lines(result).map((line) => line.split(' ').slice(0, 5).join(' '))).toEqual([
      'info 2 has no effect:',
      'info 3 has no effect:',
      'info 7 has no effect:',
      'info 11 has no effect:',
    ]);
  });

  it('merges several pipeline sections', async () => {
    const { inputs, outputs } = await define(`pipeline:
  inputs:
    - name: dummy
pipeline:
  outputs:
    - name: stdout
      match: '*'
`);
    expect([inputs.length, outputs.length]).toEqual([1, 1]);
  });

  it('knows aliases and merge keys of YAML', async () => {
    const { outputs } = await define(`extensions:
  common: &common
    match: '*'
    retry_limit: 3
pipeline:
  inputs:
    - name: dummy
  outputs:
    - name: stdout
      <<: *common
      retry_limit: 4
`);
    expect(outputs[0]).toMatchObject({ match: '*', retryLimit: 4 });
  });
});

describe('variables', () => {
  it.each([
    ['${A}', 'a'],
    ['x.${A}.${B}', 'x.a.b'],
    ['${NONE:-fallback}', 'fallback'],
    ['${EMPTY:-fallback}', 'fallback'],
    ['${NONE:-}x', 'x'],
    ['${OWN}', 'env section'],
    ['${REFERS}', 'a!'],
    ['${TEXT}', '${A}'],
    ["'$A'", '$A'],
  ])('%s becomes %s', async (written, tag) => {
    const { inputs } = await define(`env:\n  OWN: env section\n  REFERS: \${A}!\n${withTag(written)}`, {
      A: 'a',
      B: 'b',
      EMPTY: '',
      OWN: 'process',
      TEXT: '${A}',
    });
    expect(inputs[0]?.tag).toBe(tag);
  });

  it('cannot change the structure', async () => {
    const { inputs } = await define(withTag('${EVIL}'), {
      EVIL: "x\n    - name: tail\n      path: '/etc/*'",
    });
    expect(inputs).toHaveLength(1);
    expect(inputs[0]?.tag).toContain('/etc/*');
  });

  it('HOSTNAME is always there', async () => {
    const { inputs } = await define(withTag('${HOSTNAME}'));
    expect(inputs[0]?.tag).not.toBe('');
  });

  it('come from a list and from files, without the last line end', async () => {
    using workspace = new Workspace();
    const file = workspace.write('tag', 'from file\n');
    const text = `env:\n  - name: A\n    value: 1\n  - name: B\n    uri: file://${file}\n${withTag('${A} ${B}')}`;
    expect(accepted(await workspace.load(text)).inputs[0]?.tag).toBe('1 from file');
  });

  it('are not filled in for names that only objects have', async () => {
    expect(lines(await loadText(withTag('${constructor}')))).toEqual([
      expect.stringContaining('constructor is not defined') as string,
    ]);
  });
});

describe('includes', () => {
  it('are read where they stand, relative to their file, in the order of their names', async () => {
    using workspace = new Workspace();
    workspace.write(
      'conf.d/20-b.yaml',
      'pipeline:\n  filters:\n    - {name: modify, match: "*", set: b 1}\n',
    );
    workspace.write('conf.d/10-a.yaml', 'includes:\n  - more/c.yaml\n');
    workspace.write(
      'conf.d/more/c.yaml',
      'pipeline:\n  filters:\n    - {name: modify, match: "*", set: c 1}\n',
    );
    const text = `includes:\n  - conf.d/*.yaml\n${PIPELINE}  filters:\n    - {name: modify, match: '*', set: a 1}\n`;
    const { filters, files } = accepted(await workspace.load(text));
    expect(filters.map(({ entries }) => entries[0]?.value)).toEqual(['c 1', 'b 1', 'a 1']);
    expect(files.map((file) => file.slice(workspace.directory.length + 1))).toEqual([
      'main.yaml',
      'conf.d/10-a.yaml',
      'conf.d/more/c.yaml',
      'conf.d/20-b.yaml',
    ]);
  });

  it('give way to the file that includes them', async () => {
    using workspace = new Workspace();
    workspace.write('base.yaml', 'env: {TAG: base}\nservice: {flush: 5, grace: 9}\n');
    const text = `includes: [base.yaml]\nenv: {TAG: own}\nservice: {flush: 2}\n${PIPELINE.replace('dummy', 'dummy\n      tag: ${TAG}')}`;
    const { service, inputs } = accepted(await workspace.load(text));
    expect([service.flush, service.grace, inputs[0]?.tag]).toEqual([2, 9, 'own']);
  });

  it('that contradict each other get a warning', async () => {
    using workspace = new Workspace();
    workspace.write('a.yaml', 'service: {flush: 5}\n');
    workspace.write('b.yaml', 'service: {flush: 6}\n');
    const result = await workspace.load(`includes: [a.yaml, b.yaml]\n${PIPELINE}`);
    expect(accepted(result).service.flush).toBe(6);
    expect(lines(result)).toEqual([
      expect.stringMatching(/^warning 1 is set in .*a\.yaml:1 already/) as string,
    ]);
  });

  it('point at their own lines', async () => {
    using workspace = new Workspace();
    workspace.write('part.yaml', '# first\nservice:\n  flsh: 1\n');
    const { problems } = await workspace.load(`includes: [part.yaml]\n${PIPELINE}`);
    expect(problems[0]?.position).toMatchObject({
      file: `${workspace.directory}/part.yaml`,
      line: 3,
      column: 3,
    });
  });

  it('without a file are an error, a pattern without one a warning', async () => {
    const result = await loadText(`includes:\n  - none.yaml\n  - conf.d/*.yaml\n${PIPELINE}`);
    expect(lines(result)).toEqual([
      expect.stringMatching(/^error 2 .*no such file/) as string,
      expect.stringMatching(/^warning 3 .*matches no file/) as string,
    ]);
  });

  it('that lead back to themselves, or twice to one file, end', async () => {
    using workspace = new Workspace();
    workspace.write('a.yaml', 'includes: [b.yaml]\n');
    workspace.write('b.yaml', 'includes: [a.yaml]\n');
    workspace.write('c.yaml', 'service: {flush: 2}\n');
    expect(lines(await workspace.load(`includes: [a.yaml, c.yaml, ./c.yaml]\n${PIPELINE}`))).toEqual([
      expect.stringMatching(/^error 1 .*c.yaml is included twice/) as string,
      expect.stringMatching(/^error 1 .*circle/) as string,
    ]);
  });
});

describe('parsers', () => {
  it('come from the section, and stock parsers only when they are named', async () => {
    const { parsers } = await define(withParser('parsers:\n  - name: mine\n    format: logfmt\n', 'nginx'));
    expect(parsers.map(({ name, definition }) => [name, definition.name])).toEqual([
      ['mine', 'logfmt'],
      ['nginx', 'regex'],
    ]);
  });

  it('are all there where data may choose one, and make such an instance another when they change', async () => {
    const withFilter = (option: string, regex = 'a'): string =>
      PIPELINE.replace(
        '  outputs:',
        `  filters:\n    - name: kubernetes\n      match: '*'\n      merge_log: on\n      ${option}\n  outputs:`,
      ).replace(
        'pipeline:',
        `parsers:\n  - name: mine\n    format: regex\n    regex: '(?<a>${regex})'\npipeline:`,
      );
    const namesWith = async (option: string): Promise<string[]> =>
      (await define(withFilter(option))).parsers.map(({ name }) => name);
    expect(await namesWith('k8s-logging.parser: off')).toEqual(['mine']);
    const all = await namesWith('k8s-logging.parser: on');
    expect(all).toEqual(expect.arrayContaining(['mine', 'nginx', 'json']));

    const narrow = 'k8s-logging.parser: on\n      k8s-logging.parsers: nginx, json';
    expect((await namesWith(narrow)).toSorted()).toEqual(['json', 'mine', 'nginx']);

    const printOf = async (option: string, regex: string): Promise<string> => {
      const definition = await define(withFilter(option, regex));
      return fingerprintOf(definition.filters[0] as FilterInstance, definition);
    };
    for (const [option, same] of [
      ['k8s-logging.parser: on', false],
      ['k8s-logging.parser: off', true],
    ] as const) {
      const [one, two] = [await printOf(option, 'x'), await printOf(option, 'y')];
      expect(one === two, option).toBe(same);
    }
  });

  it('of the same name take the place of a stock parser', async () => {
    const { parsers } = await define(withParser('parsers:\n  - name: nginx\n    format: json\n', 'nginx'));
    expect(parsers.map(({ name, definition }) => [name, definition.name])).toEqual([['nginx', 'json']]);
  });

  it('come from files in both formats, beside the configuration', async () => {
    using workspace = new Workspace();
    workspace.write(
      'etc/classic.conf',
      `# comment
[PARSER]
    Name        one
    Format      regex
    Regex       ^(?<a>[^ ]*) (?<b>.*)$   
    Types       b:integer

[MULTILINE_PARSER]
    name  many
    type  regex
    rule  "start_state"  "/^\\[/"  "cont"
    rule  "cont"         "/^ /"    "cont"
`,
    );
    workspace.write('two.yaml', 'parsers:\n  - name: two\n    format: json\n');
    const result = await workspace.load(
      withParser('service:\n  parsers_file: [etc/classic.conf, two.yaml]\n', 'one'),
    );
    expect(lines(result)).toEqual([]);
    const { parsers, files } = accepted(result);
    expect(parsers.map(({ name }) => name)).toEqual(['one', 'two']);
    expect(parsers[0]?.options['regex']).toBe('^(?<a>[^ ]*) (?<b>.*)$');
    expect(files).toHaveLength(3);
  });

  it('with a mistake in a file are an error only if they are used', async () => {
    using workspace = new Workspace();
    workspace.write('p.conf', '[PARSER]\n    Name bad\n    Format regex\n    Regex ^(?<a>\n');
    const load = (parser: string): ReturnType<Workspace['load']> =>
      workspace.load(withParser('service:\n  parsers_file: p.conf\n', parser));
    expect(lines(await load('bad'))[0]).toMatch(/^error 4 /);
    const unused = await load('json');
    expect(lines(unused)[0]).toMatch(/^warning 4 /);
    accepted(unused);
  });

  it("Fluent Bit's own file need not be there", async () => {
    const result = await loadText(
      withParser('service:\n  parsers_file: /fluent-bit/etc/parsers.conf\n', 'docker'),
    );
    accepted(result);
    expect(lines(result)).toEqual([expect.stringContaining('built in') as string]);
  });

  it('take keys of other formats with a note', async () => {
    const result = await loadText(
      withParser('parsers:\n  - name: p\n    format: json\n    logfmt_no_bare_keys: on\n', 'p'),
    );
    accepted(result);
    expect(lines(result)).toEqual([expect.stringMatching(/^info 4 has no effect/) as string]);
  });
});

describe('names', () => {
  it('of one plugin in the state: its name, and with several a hash of where they write', async () => {
    const one = await define(withOutputs("    - {name: file, match: '*', path: /tmp, file: a}\n"));
    expect(one.outputs[0]?.stateName).toBe('file');
    const text =
      "    - {name: file, match: '*', path: /tmp, file: a}\n    - {name: file, match: '*', path: /tmp, file: b}\n";
    const [a, b] = (await define(withOutputs(text))).outputs.map(({ stateName }) => stateName);
    expect(a).toMatch(/^file#[0-9a-f]{8}$/);
    expect(a).not.toBe(b);
    // Neither order nor anything but the target counts.
    const swapped = text
      .split('\n')
      .slice(0, 2)
      .toReversed()
      .join('\n')
      .replace('file: a', 'file: a, retry_limit: 3');
    expect((await define(withOutputs(`${swapped}\n`))).outputs.map(({ stateName }) => stateName)).toEqual([
      b,
      a,
    ]);
  });

  it('two outputs to one place are told apart by what they take', async () => {
    const text = "    - {name: stdout, match: 'a*'}\n    - {name: stdout, match: '*'}\n";
    const names = (await define(withOutputs(text))).outputs.map(({ stateName }) => stateName);
    expect(new Set(names).size).toBe(2);
  });

  it('an alias is the name, and nobody else may be called like that', async () => {
    const { outputs: named } = await define(withOutputs("    - {name: stdout, match: '*', alias: out}\n"));
    expect(named[0]).toMatchObject({ name: 'out', stateName: 'out' });
    const clash = await loadText(
      withOutputs("    - {name: 'null', match: '*', alias: stdout.1}\n    - {name: stdout, match: '*'}\n"),
    );
    expect(lines(clash)).toEqual([expect.stringContaining('"stdout.1" is taken') as string]);
  });

  it('inputs that keep no position need none', async () => {
    const { inputs } = await define(PIPELINE.replace('- name: dummy', '- name: dummy\n    - name: dummy'));
    expect(inputs.map(({ name }) => name)).toEqual(['dummy.0', 'dummy.1']);
    expect(new Set(inputs.map(({ stateName }) => stateName)).size).toBe(2);
  });
});

describe('fingerprints', () => {
  it('are equal exactly when what is written is, variables filled in', async () => {
    const plain = await fingerprint("match: '*'");
    expect(await fingerprint('Match:   "*"   # all')).toBe(plain);
    expect(await fingerprint('match: ${M}', { M: '*' })).toBe(plain);
    expect(await fingerprint("match: '*'\n      workers: 2")).not.toBe(plain);
  });
});

describe('routing', () => {
  it('says nothing where tags are only known at run time', async () => {
    expect(
      lines(
        await loadText(
          PIPELINE.replace('dummy', "dummy\n      tag: 'kube.*'").replace("'*'", "'kube.var.*'"),
        ),
      ),
    ).toEqual([]);
  });

  it('a pattern that no output can meet vanishes', async () => {
    const result = await loadText(
      PIPELINE.replace('dummy', "dummy\n      tag: 'kube.*'").replace("'*'", "'app.*'"),
    );
    expect(lines(result)).toEqual([
      expect.stringMatching(/^error 4 no output takes the tag "kube\.\*"/) as string,
      expect.stringMatching(/^warning 7 no tag can reach/) as string,
    ]);
  });

  it('match_regex is an expression of Fluent Bit', async () => {
    const { outputs } = await define(PIPELINE.replace("match: '*'", "match_regex: '/^dummy\\.\\h+$/'"));
    expect(outputs[0]?.matchRegex?.test('dummy.0')).toBe(true);
    expect(outputs[0]?.matchRegex?.test('dummy.x')).toBe(false);
  });
});

describe('ports', () => {
  const forwards = (...own: string[]): string =>
    PIPELINE.replace(
      '    - name: dummy\n',
      own.map((line) => `    - name: forward\n      tag: t\n      ${line}\n`).join(''),
    );

  it('belong to one listener each; a unix socket takes none', async () => {
    expect(lines(await loadText(forwards('port: 24224', 'unix_path: a', 'unix_path: b')))).toEqual([]);
    expect(lines(await loadText(forwards('port: 24224', 'alias: other')))).toEqual([
      expect.stringMatching(/^error \d+ port 24224 is taken by the input forward/) as string,
    ]);
  });
});
