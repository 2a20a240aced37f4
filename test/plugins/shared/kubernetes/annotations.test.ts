import { describe, expect, it } from 'vitest';
import { readAnnotations } from '../../../../plugins/shared/kubernetes/annotations.ts';
import type { Judge } from '../../../../plugins/shared/kubernetes/annotations.ts';

const anything: Judge = () => undefined;

function read(annotations: Record<string, string>, container = 'app', judge = anything) {
  const { stdout, stderr, refused } = readAnnotations(annotations, container, judge);
  return { stdout, stderr, refused: refused.map(({ annotation, refusal }) => [annotation, refusal]) };
}

describe('which container and stream an annotation is about', () => {
  it('both streams of all containers without a suffix', () => {
    const parser = { parser: 'nginx' };
    expect(read({ 'fluentbit.io/parser': 'nginx' })).toEqual({ stdout: parser, stderr: parser, refused: [] });
  });

  it.each([
    ['fluentbit.io/parser_stdout', { parser: 'p' }, {}],
    ['fluentbit.io/parser_stderr', {}, { parser: 'p' }],
    ['fluentbit.io/parser-app', { parser: 'p' }, { parser: 'p' }],
    ['fluentbit.io/parser_stderr-app', {}, { parser: 'p' }],
    ['fluentbit.io/parser_stderr-other', {}, {}],
    ['fluentbit.io/parser-app-2', {}, {}],
  ])('%s', (annotation, stdout, stderr) => {
    expect(read({ [annotation]: 'p' })).toEqual({ stdout, stderr, refused: [] });
  });

  it('one for the container wins over one for all, wherever it stands', () => {
    const own = { 'fluentbit.io/parser-app': 'own' };
    const all = { 'fluentbit.io/parser': 'all' };
    expect(read({ ...own, ...all }).stdout).toEqual({ parser: 'own' });
    expect(read({ ...all, ...own }).stdout).toEqual({ parser: 'own' });
    expect(read({ ...all, ...own }, 'other').stdout).toEqual({ parser: 'all' });
  });

  it('of several for all the first wins, of several for the container the last', () => {
    expect(read({ 'fluentbit.io/parser': 'a', 'fluentbit.io/parser_stdout': 'b' }).stdout.parser).toBe('a');
    expect(read({ 'fluentbit.io/parser-app': 'a', 'fluentbit.io/parser_stdout-app': 'b' })).toMatchObject({
      stdout: { parser: 'b' },
      stderr: { parser: 'a' },
    });
  });

  it('ours win over those of Fluent Bit', () => {
    expect(read({ 'tailrace.io/parser': 'ours', 'fluentbit.io/parser-app': 'theirs' }).stdout.parser).toBe(
      'ours',
    );
  });

  it.each([
    'fluentbit.io/invalid',
    'fluentbit.io/exclude_',
    'fluentbit.io/exclude_invalid',
    'fluentbit.io/exclude_stdout-',
    'fluentbit.io/exclude-',
    'fluentbit.io/exclude+',
    'fluentbit.io/multiline',
    'tailrace.io/constructor',
    'tailrace.io/',
  ])('%s is no annotation', (annotation) => {
    expect(read({ [annotation]: 'true' })).toEqual({
      stdout: {},
      stderr: {},
      refused: [[annotation, 'unknown']],
    });
  });

  it('leaves those of others alone', () => {
    expect(read({ 'prometheus.io/scrape': 'true', parser: 'x' }).refused).toEqual([]);
  });
});

describe('values', () => {
  it.each([
    ['true', true],
    ['On', true],
    ['YES', true],
    ['false', false],
    ['off', false],
  ])('exclude: %s', (text, exclude) => {
    expect(read({ 'fluentbit.io/exclude': text })).toMatchObject({ stdout: { exclude }, refused: [] });
  });

  it('an exclude that is neither is a no, and told', () => {
    const annotations = { 'fluentbit.io/exclude_stdout': 'perhaps', 'fluentbit.io/exclude': 'true' };
    expect(read(annotations)).toEqual({
      stdout: { exclude: false },
      stderr: { exclude: true },
      refused: [['fluentbit.io/exclude_stdout', 'value']],
    });
  });

  it.each([
    ['0.25', 0.25],
    ['10%', 0.1],
    ['1', 1],
    ['.5', 0.5],
    ['0', undefined],
    ['2', undefined],
    ['-1', undefined],
    ['half', undefined],
  ])('sample: %s', (text, sample) => {
    const said = read({ 'tailrace.io/sample': text });
    expect(said.stdout.sample).toBe(sample);
    expect(said.refused).toEqual(sample === undefined ? [['tailrace.io/sample', 'value']] : []);
  });

  it.each([
    ['100', 100],
    ['100/s', 100],
    ['30/m', 0.5],
    ['7200/h', 2],
    ['0', undefined],
    ['fast', undefined],
    ['1e9', undefined],
  ])('rate-limit: %s', (text, rateLimit) => {
    expect(read({ 'tailrace.io/rate-limit_stderr': text }).stderr.rateLimit).toBe(rateLimit);
  });

  it('what may not be set is as if it were not there', () => {
    const judge: Judge = (property, value) => (value === 'bad' ? 'parser' : undefined);
    const annotations = { 'fluentbit.io/parser': 'bad', 'fluentbit.io/parser_stdout': 'good' };
    expect(read(annotations, 'app', judge)).toEqual({
      stdout: { parser: 'good' },
      stderr: {},
      refused: [['fluentbit.io/parser', 'parser']],
    });
  });
});
