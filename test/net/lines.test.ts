import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linesOf } from '../../src/net/lines.ts';

async function* pieces(texts: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text as string);
}

async function read(texts: readonly (string | Buffer)[], maxBytes = 100): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(pieces(texts), maxBytes)) lines.push(line.toString());
  return lines;
}

describe('linesOf', () => {
  it('gives lines without their ends, and not what is cut', async () => {
    expect(await read(['a\nbc\r\n\n\r\nd', 'e\nf'])).toEqual(['a', 'bc', 'de']);
    expect(await read(['a\r', '\nb\n'])).toEqual(['a', 'b']);
    expect(await read([])).toEqual([]);
  });

  it('gives the same lines however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.stringMatching(/^[a-zé]{1,12}$/), { maxLength: 8 }),
        fc.array(fc.nat(60)),
        async (lines, cuts) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
          const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b)];
          const cut = at.map((start, index) => bytes.subarray(start, at[index + 1] ?? bytes.length));
          expect(await read(cut)).toEqual(lines);
        },
      ),
    );
  });

  it('throws for a line that is too long, before it is read', async () => {
    expect(await read(['x'.repeat(100), '\n'])).toHaveLength(1);
    await expect(read(['ok\n', 'x'.repeat(101), '\n'])).rejects.toThrow(/more than 100 bytes/);
    let read1 = 0;
    const endless = (async function* endlessly() {
      for (;;) {
        read1++;
        yield Buffer.alloc(40, 'x');
      }
    })();
    const all = async (): Promise<void> => {
      for await (const line of linesOf(endless, 100)) expect(line).toBeUndefined();
    };
    await expect(all()).rejects.toThrow(/more than 100 bytes/);
    expect(read1).toBe(3);
  });
});
