import { describe, expect, it } from 'vitest';
import nullOutput from '../../../plugins/outputs/null.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput } from '../../contract/support.ts';

describeOutput('null', async () => ({
  output: await createOutput(nullOutput, {}, contextIn('/')),
  cleanUp() {},
}));

describe('null', () => {
  it('reads no record, so that none is encoded for it', () => {
    expect(
      nullOutput.traits?.({ format: undefined, json_date_format: undefined, json_date_key: undefined }),
    ).toMatchObject({ payload: 'none' });
  });
});
