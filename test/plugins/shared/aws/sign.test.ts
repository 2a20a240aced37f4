import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeSigner } from '../../../../plugins/shared/aws/sign.ts';

/** The keys and the time of AWS's published test suite for Signature Version 4. */
const CREDENTIALS = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};
const DATE = new Date('2015-08-30T12:36:00Z');
const ORIGIN = 'https://example.amazonaws.com';

const signer = (bodyHash = false) =>
  makeSigner({ credentials: CREDENTIALS, region: 'us-east-1', service: 'service', bodyHash });

describe('signatures of plain requests', () => {
  it.each([
    [
      'get-vanilla',
      'GET',
      '/',
      {},
      undefined,
      '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    ],
    [
      'get-vanilla-query-order-key-case',
      'GET',
      '/?Param2=value2&Param1=value1',
      {},
      undefined,
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-utf8',
      'GET',
      // The suite's request has it raw; a path that is encoded on the wire is signed encoded twice, as AWS does.
      '/\u1234',
      {},
      undefined,
      '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85',
    ],
    [
      'post-vanilla',
      'POST',
      '/',
      {},
      undefined,
      '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
    ],
    [
      'post-x-www-form-urlencoded',
      'POST',
      '/',
      { 'content-type': 'application/x-www-form-urlencoded' },
      'Param1=value1',
      'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    ],
  ])('%s of the published test suite', async (_name, method, path, headers, body, signature) => {
    const signed = await signer()(
      { method, origin: ORIGIN, path, headers, ...(body === undefined ? {} : { body }) },
      DATE,
    );
    expect(signed['authorization']).toMatch(new RegExp(`Signature=${signature}$`));
    expect(signed['x-amz-date']).toBe('20150830T123600Z');
  });

  it('signs the hash of the body, and the session token', async () => {
    const sign = makeSigner({
      credentials: () => Promise.resolve({ ...CREDENTIALS, sessionToken: 'TOKEN' }),
      region: 'us-east-1',
      service: 'aoss',
    });
    const body = Buffer.from('{"index":{}}\n');
    const signed = await sign(
      {
        method: 'POST',
        origin: 'https://x.aoss.amazonaws.com:8443',
        path: '/_bulk?a=1&a=2&flag',
        headers: {},
        body,
      },
      DATE,
    );
    expect(signed).toMatchObject({
      host: 'x.aoss.amazonaws.com:8443',
      'x-amz-security-token': 'TOKEN',
      'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
    });
    expect(signed['authorization']).toContain(
      'SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token',
    );
  });
});
