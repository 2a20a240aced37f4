import { expect, it } from 'vitest';
import { startLoki } from './servers/loki.ts';

it('starts', async () => {
  const server = await startLoki();
  expect(server.port).toBeGreaterThan(0);
  await server.close();
});
