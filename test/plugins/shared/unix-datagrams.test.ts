/** Bounds of what a datagram socket takes in at once. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { UnixDatagramListener } from '../../../plugins/shared/unix-datagrams/listener.ts';
import { loadUnixDatagrams } from '../../../plugins/shared/unix-datagrams/native.ts';
import { inputContext } from '../inputs/collecting.ts';

const LARGE = Buffer.alloc(150_000);

/** A listener whose sink tells of each datagram, and of each flush. */
async function open(sink: { took: () => void; flushed: () => void }) {
  const folder = mkdtempSync(join(tmpdir(), 'unix-datagrams-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'socket');
  const listener = new UnixDatagramListener(
    { path, mode: 0o600, receiveBufferBytes: undefined, maxBytes: 262_144 },
    inputContext(),
    {
      take: sink.took,
      flush() {
        sink.flushed();
        return undefined;
      },
    },
  );
  await listener.start();
  onTestFinished(() => listener.stop());
  const datagrams = await loadUnixDatagrams();
  const connect = () => {
    const peer = datagrams.connect(path);
    onTestFinished(() => peer.close());
    return peer;
  };
  return { listener, connect };
}

it('A sender that never pauses does not keep large datagrams out of the account', async () => {
  let taken = 0;
  let most = 0;
  let left = 40;
  const over = Promise.withResolvers<void>();
  const { connect } = await open({
    took() {
      taken += LARGE.length;
      most = Math.max(most, taken);
      if (left-- > 0) peer.send(LARGE);
      else over.resolve();
    },
    flushed() {
      taken = 0;
    },
  });
  const peer = connect();
  peer.send(LARGE);
  await over.promise;
  expect(most).toBeLessThan(2_000_000);
});

it('A sender that never pauses does not keep it from ending', async () => {
  let taken = 0;
  const { listener, connect } = await open({
    took() {
      taken += LARGE.length;
      peer.send(LARGE);
    },
    flushed() {},
  });
  const peer = connect();
  peer.send(LARGE);
  listener.stop();
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThan(20_000_000);
});
