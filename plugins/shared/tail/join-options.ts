/** Options of inputs whose lines are joined to records, and what comes of them. */
import { unparsedRecords } from '../line-counters.ts';
import { boolean, many, prefix, size, string, time } from '../../../src/plugin.ts';
import type { InputContext, OptionProblem, OptionValues, Parser } from '../../../src/plugin.ts';
import { Rarely } from '../rarely.ts';
import { ContainerPlan } from './join/containers.ts';
import type { ContainerFormat } from './join/containers.ts';
import { DockerModePlan } from './join/docker-mode.ts';
import { FirstLinePlan } from './join/first-line.ts';
import type { FileFormat } from './line-reader.ts';

/** Options of every input that joins the lines of containers. */
export const containerJoinOptions = {
  multiline_flush: time()
    .default('4')
    .describe(
      'A record of which no part came for this long goes on as it is, flagged in its metadata; counted from its last part, and only where the file was read to its end.',
    ),
  multiline_buffer_limit: size()
    .default('2M')
    .describe(
      'A joined record that grows beyond this is cut into several, flagged in their metadata. Nothing of it is left out. Bytes.',
    ),
};

/** Those of the tail input. */
export const joinOptions = {
  ...containerJoinOptions,
  'multiline.parser': many()
    .default([])
    .describe(
      'Formats in which lines are joined, in the order in which they are tried: `cri`, `docker`. Others are not there yet.',
    ),
  multiline: boolean()
    .default('false')
    .describe(
      'Join lines from each one that `parser_firstline` takes. `parser` has no effect then, as in Fluent Bit.',
    ),
  parser_firstline: string().optional().describe('Parser that takes the first line of a record.'),
  'parser_*': prefix().describe('Further parsers of joined lines (`multiline`), tried in their order.'),
  docker_mode: boolean()
    .default('false')
    .describe(
      'Join split lines of Docker before they are parsed. `multiline.parser: docker` does it better.',
    ),
  docker_mode_flush: time()
    .default('4')
    .describe('With `docker_mode`: after this long without another line, a record goes on as it is.'),
  docker_mode_parser: string()
    .optional()
    .describe('With `docker_mode`: parser that takes the first line of a record of several lines.'),
};

/** Options of these that name parsers. */
export const JOIN_PARSER_OPTIONS = ['parser_firstline', 'parser_*', 'docker_mode_parser'] as const;

type JoinValues = OptionValues<typeof joinOptions> & { parser: string | undefined; key: string };

function containerFormats(values: readonly string[]): string[] {
  return values
    .flatMap((value) => value.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '' && !/^(off|false|no)$/i.test(name));
}

function isContainerFormat(name: string): name is ContainerFormat {
  return name === 'cri' || name === 'docker';
}

export function checkJoin(options: JoinValues): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const names = containerFormats(options['multiline.parser']);
  for (const name of names) {
    if (isContainerFormat(name)) continue;
    problems.push({
      key: 'multiline.parser',
      message: `Tailrace does not join lines by "${name}" yet, only by cri and docker; remove it, or wait for the release that brings the other multiline parsers`,
    });
  }
  if (options.docker_mode && options.multiline)
    problems.push({
      key: 'docker_mode',
      message: 'cannot be on together with multiline: one of them joins the lines',
    });
  if (options.multiline && options.parser_firstline === undefined)
    problems.push({
      key: 'multiline',
      message: 'is on, and parser_firstline is missing: name the parser of first lines',
    });
  if (names.length > 0) {
    const without = 'has no effect: multiline.parser takes the lines';
    if (options.parser !== undefined)
      problems.push({
        key: 'parser',
        level: 'warning',
        message: `${without}; parse the log field with the filter parser`,
      });
    if (options.key !== 'log')
      problems.push({ key: 'key', level: 'warning', message: `${without}, and calls their text log` });
    for (const key of ['multiline', 'docker_mode'] as const)
      if (options[key]) problems.push({ key, level: 'warning', message: without });
  } else if (options.multiline && options.parser !== undefined) {
    problems.push({
      key: 'parser',
      level: 'warning',
      message: 'has no effect where multiline is on, as in Fluent Bit: parser_firstline takes the lines',
    });
  }
  return problems;
}

/** Joins lines of containers. `waitMs`: how long a record waits for its rest. */
export function containerFormat(
  formats: readonly ContainerFormat[],
  waitMs: number,
  context: Pick<InputContext, 'metrics' | 'name' | 'log'>,
): FileFormat & { join: ContainerPlan } {
  const { metrics, name, log } = context;
  const unmatched = metrics
    .counter(
      'tailrace_input_malformed_lines_total',
      'Lines that are not of the format of containers; they go on as they are.',
    )
    .labels({ name });
  const seldom = new Rarely();
  const onUnmatched = (): void => {
    unmatched.value++;
    const lines = seldom.happened();
    if (lines > 0)
      log.warn({ formats, lines }, 'Lines are not of the format of containers; they go on as they are');
  };
  return { parser: undefined, join: new ContainerPlan(formats, waitMs, onUnmatched) };
}

/** What the options say of all files. */
export function formatOf(
  options: JoinValues & { ignore_older: number },
  context: Pick<InputContext, 'metrics' | 'name' | 'log' | 'parser' | 'drop'>,
): FileFormat {
  const parserOf = (name: string | undefined): Parser | undefined =>
    name === undefined ? undefined : context.parser(name);
  const parser = parserOf(options.parser);
  const formats = containerFormats(options['multiline.parser']).filter(isContainerFormat);
  if (formats.length > 0) return containerFormat(formats, options.multiline_flush * 1000, context);
  const { key } = options;
  if (options.docker_mode) {
    const seldom = new Rarely();
    const unparsed = unparsedRecords(context);
    const onUnparsed = (reason: string): void => {
      unparsed.value++;
      const lines = seldom.happened();
      if (lines > 0)
        context.log.warn({ reason, lines }, 'Lines do not fit the parser; they go on as they are');
    };
    const first = parserOf(options.docker_mode_parser);
    const waitMs = options.docker_mode_flush * 1000;
    return { parser, join: new DockerModePlan({ first, parser, key, waitMs, onUnparsed }) };
  }
  if (!options.multiline) return { parser, join: undefined };
  return {
    parser: undefined,
    join: new FirstLinePlan({
      first: context.parser(options.parser_firstline as string),
      others: options['parser_*'].map(([, name]) => context.parser(name)),
      key,
      waitMs: options.multiline_flush * 1000,
      ignoreOlderMs: options.ignore_older * 1000,
      onIgnored: () => context.drop('ignore_older', 1),
    }),
  };
}
