import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseKernelMessage } from '../../../../plugins/inputs/kmsg/record.ts';

describe('parseKernelMessage', () => {
  it('reads priority, facility, number, time and text', () => {
    expect(parseKernelMessage('30,12,98765432,-;systemd[1]: a;b,c\n')).toEqual({
      priority: 6,
      facility: 3,
      sequence: 12,
      microseconds: 98_765_432,
      text: 'systemd[1]: a;b,c',
      dictionary: undefined,
    });
  });

  it('reads the lines with keys and values', () => {
    const record =
      '6,193,304339,-;PNP0A08:00: _OSC\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A08:00\n A=b=c\n alone\n';
    expect(parseKernelMessage(record)).toMatchObject({
      text: 'PNP0A08:00: _OSC',
      dictionary: { SUBSYSTEM: 'acpi', DEVICE: '+acpi:PNP0A08:00', A: 'b=c', alone: '' },
    });
    expect(Object.keys(parseKernelMessage('6,1,1,-;x\n __proto__=y\n')?.dictionary ?? {})).toEqual([
      '__proto__',
    ]);
  });

  it.each([
    ['fields yet to come', '4,1,2,c,caller=T1,more;text\n', { sequence: 1, text: 'text' }],
    ['no flag, as of old kernels', '4,1,2;text', { sequence: 1, text: 'text' }],
    ['an empty text', '4,1,2,-;\n', { text: '' }],
    ['what the kernel escapes', String.raw`4,1,2,-;\xc3\xa4 \x5c`, { text: String.raw`\xc3\xa4 \x5c` }],
  ])('%s', (_name, record, message) => expect(parseKernelMessage(record)).toMatchObject(message));

  it.each([
    '',
    '\n',
    'text',
    '4,1,2,-',
    '4,1;text',
    'x,1,2,-;t',
    '4,-1,2,-;t',
    '4,1,2e3,-;t',
    '4,,2,-;t',
    `4,${'9'.repeat(20)},2,-;t`,
  ])('takes %j for none', (record) => expect(parseKernelMessage(record)).toBeUndefined());

  it('never throws', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'0129,;-= \n\\xA'.split('')) }),
        (text) => void parseKernelMessage(text),
      ),
    );
  });
});
