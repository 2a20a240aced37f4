import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression, ExpressionError } from '../../src/record/expression.ts';
import { translateRegex } from '../../src/parse/regex.ts';

const options = { regex: translateRegex };

const RECORD = {
  level: 'error',
  status: 503,
  code: '503',
  msg: 'Request timeout after 30s',
  path: '/health/live',
  ok: true,
  off: false,
  none: null,
  big: 12345678901234567890n,
  http: { status: 404, 'user-agent': 'curl', tags: ['a', 'b'] },
  'flat.name': 'x',
  'user-id': 7,
  in: 'keyword',
  quote: 'say "hi"\n',
};

describe('expressions', () => {
  it.each<[string, boolean]>([
    ['level == "error" && status >= 500', true],
    ["level = 'error' and not ok", false],
    ['level == "info" or status > 503', false],
    ['level == "info" || status <= 503', true],
    ['not level == "info"', true],
    ['!(level == "info" or ok) or level == "error"', true],
    ['level == "info" and ok or off', false],
    ['off and ok or ok', true],
    ['ok or ok and off', true],
    ['NOT off AND ok', true],
    ['status == 503', true],
    ['status == "503"', true],
    ['code == 503', true],
    ['code > 500', true],
    ['code > "6"', false],
    ['level > "debug"', true],
    ['level > 5', false],
    ['status != 200', true],
    ['missing != 200', true],
    ['missing == 200', false],
    ['missing < 200', false],
    ['none == null', true],
    ['missing == null', false],
    ['none < 5', false],
    ['ok == true', true],
    ['off != true', true],
    ['big == 12345678901234567890', true],
    ['big == 12345678901234567891', false],
    ['big > 1e19', true],
    ['status > -1.5e2', true],
    ['msg =~ "timeout"', true],
    ['msg =~ "\\d+s$"', true],
    ['msg !~ "timeout"', false],
    ['missing !~ "x"', true],
    ['missing =~ ""', false],
    ['path =~ /^\\/HEALTH/i', true],
    ['path !~ /^\\/health\\//', false],
    ['status =~ "^5"', true],
    ['level in ["error", "fatal"]', true],
    ['status in [500, 503]', true],
    ['level not in ["error"]', false],
    ['missing not in [1]', true],
    ['http.status == 404', true],
    ["$http['status'] == 404", true],
    ['http.user-agent == "curl"', true],
    ['http.tags[1] == "b"', true],
    ['http.tags[9] == "b"', false],
    ['flat.name == "x"', true],
    ['user-id == 7', true],
    ['exists(http.status)', true],
    ['exists(none)', true],
    ['exists ( http.none ) or not exists(missing)', true],
    ['code == $status', true],
    ['level == $missing', false],
    ['in == "keyword"', true],
    ['quote == "say \\"hi\\"\\n"', true],
    ['constructor', false],
    ['none', false],
    ['ok', true],
    ['off', false],
    ['level', true],
  ])('%s is %s', (text, result) => {
    expect(compileExpression(text, options)(RECORD)).toBe(result);
  });
});

describe('mistakes', () => {
  it.each<[string, number, string]>([
    ['', 1, 'The expression is empty: write for example level == "error".'],
    [
      'level == error',
      10,
      'A value must follow, found error: put text in quotes, "error", or write $error for a field.',
    ],
    ['level ==', 9, 'A value must follow, found the end: a text in quotes'],
    ['"error" == level', 1, 'A condition starts with the name of a field, found "error": turn it round'],
    [
      'level == "error" status > 5',
      18,
      'The expression should end here, found status: join two conditions with "and" or "or".',
    ],
    ['level == "error', 10, 'The text has no closing ".'],
    ['(ok', 4, '")" must follow, found the end.'],
    ['ok and', 7, 'The name of a field must follow, found the end.'],
    ['level in "x"', 10, '"[" must follow, found "x".'],
    ['level in []', 11, 'A value must follow, found ]'],
    ['level not like "x"', 11, '"in" must follow "not" here, found like.'],
    ['msg =~ timeout', 8, 'A regular expression must follow, found timeout: write it in quotes, or as /…/i.'],
    ['msg =~ "("', 8, 'The regular expression ( is not valid'],
    ['msg =~ /x', 8, 'The regular expression has no closing /.'],
    ['a. b == 1', 2, 'The name of a field must follow the dot.'],
    ['$a[x] == 1', 4, 'A key in quotes or an index must follow "["'],
    ['level == #', 10, '"#" means nothing here.'],
    ['exists(ok', 10, '")" must follow, found the end.'],
    ['$ == 1', 3, 'The name of a field must follow, found ==.'],
  ])('%s', (text, column, message) => {
    let error: unknown;
    try {
      compileExpression(text, options);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ExpressionError);
    expect(error).toMatchObject({ column, message: expect.stringContaining(message) });
  });

  it('any text compiles or is refused, nothing else', () => {
    const words = fc.constantFrom(
      'a',
      '.',
      '$',
      '[',
      ']',
      '0',
      "'k'",
      '"t',
      '"t"',
      '/',
      '(',
      ')',
      '!',
      '=',
      '~',
      '<',
      'and',
      'not',
      'in',
      'exists',
      ',',
      ' ',
      '-',
      '1e5',
      '\\',
    );
    fc.assert(
      fc.property(fc.array(words), (parts) => {
        let result: unknown;
        try {
          result = compileExpression(parts.join(''), options)(RECORD);
        } catch (error) {
          result = error;
        }
        expect(typeof result === 'boolean' || result instanceof ExpressionError).toBe(true);
      }),
    );
  });
});
