import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stockParsers } from '../../plugins/parsers/stock.ts';
import { translateRegex } from '../../src/parse/regex.ts';

const SOURCES = join(import.meta.dirname, '../../src/parse');

/** Runs a module of its own, so that V8's flags are set before anything else; ten seconds stand for "hangs". */
function runScript(script: string, ...flags: string[]): string {
  return execFileSync(process.execPath, [...flags, '--input-type=module', '--eval', script], {
    encoding: 'utf8',
    timeout: 10_000,
  }).trim();
}

describe('enableLinearFallback', () => {
  it.each([
    ['^(a+)+$', `${'a'.repeat(40)}!`],
    ['(?i)^(a+)+$', `${'a'.repeat(40)}!`],
    ['^(?<x>(?:a|aa)+)$', `${'a'.repeat(60)}!`],
    ['^(\\S+\\s*)+:$', 'word '.repeat(40)],
    ['^([[:alpha:]]+)+\\d$', 'ä'.repeat(40)],
  ])('ends %s', (pattern, text) => {
    const script = `
      import { enableLinearFallback } from ${JSON.stringify(join(SOURCES, 'regex-engine.ts'))};
      enableLinearFallback();
      const { translateRegex } = await import(${JSON.stringify(join(SOURCES, 'regex.ts'))});
      const regex = translateRegex(${JSON.stringify(pattern)});
      console.log(regex.linearSafe, regex.test(${JSON.stringify(text)}));`;
    expect(runScript(script)).toBe('true false');
  });

  it('keeps captures by number', () => {
    const script = `
      import { enableLinearFallback } from ${JSON.stringify(join(SOURCES, 'regex-engine.ts'))};
      enableLinearFallback();
      const { translateRegex } = await import(${JSON.stringify(join(SOURCES, 'regex.ts'))});
      const regex = translateRegex('(?<run>(?:a+)+)b(?<rest>.*)|(?<word>x)');
      const match = regex.exec('${'a'.repeat(40)} x');
      console.log(JSON.stringify(regex.numbers.map((number) => match[number] ?? null)));`;
    expect(runScript(script)).toBe('[null,null,"x"]');
  });
});

describe('linearSafe', () => {
  it('is what V8 says', () => {
    const others = String.raw`(a)\1 a(?=b) (?!a)b (?<=a)b (?<!a)b a++a a++b (?>ab|a)b \Aa\z a\Z .{2,5} a{16} a{17} (a){17} a{2,17} (?:a{4}){4} (?:a{4}){5} (?:a{20}){2} a{17,} (?i)ß\p{L}+ 😀.`;
    const patterns = [...stockParsers.flatMap(({ options }) => options['regex'] ?? []), ...others.split(' ')];
    const sources = patterns.map((pattern) => translateRegex(pattern).regex.source);
    const script = `
      const verdicts = ${JSON.stringify(sources)}.map((source) => {
        try { new RegExp(source, 'l').exec(''); return true; } catch { return false; }
      });
      console.log(JSON.stringify(verdicts));`;
    const verdicts = JSON.parse(runScript(script, '--enable-experimental-regexp-engine')) as boolean[];
    const claimed = patterns.map((pattern) => [pattern, translateRegex(pattern).linearSafe]);
    expect(claimed).toEqual(patterns.map((pattern, at) => [pattern, verdicts[at]]));
  });
});
