import { describe, expect, it } from 'vitest';
import { escapeBreaks, escapeForTerminal, escapeLine } from '../../src/codec/terminal.ts';

describe('escapes', () => {
  it('of several lines keep line feeds and tabs', () => {
    expect(escapeForTerminal('a\tb\nc\rd\u001b[0m')).toBe('a\tb\nc\\rd\\u001b[0m');
  });

  it('of JSON leave the same JSON', () => {
    const value = { text: '\u007f\u0085\u202e\ufeff\u200b\u2028ü😀' };
    const escaped = escapeForTerminal(JSON.stringify(value));
    expect(escaped).toBe('{"text":"\\u007f\\u0085\\u202e\\ufeff\\u200b\\u2028ü😀"}');
    expect(JSON.parse(escaped)).toEqual(value);
  });

  it('of a line leave none', () => {
    expect(escapeLine('a\tb\nc')).toBe('a\\tb\\nc');
  });

  it('of breaks touch nothing else', () => {
    expect(escapeBreaks('a\tb\r\n\u001b')).toBe('a\tb\\r\\n\u001b');
  });
});
