/** A process of its own for faults that would hit the test runner too: prints what it saw as JSON. */
import { closeSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contents, makeChunk, openStore, put, readAll } from './chunks.ts';

const [, , fault = '', directory = '', flag = ''] = process.argv;

function segments(): Record<string, number> {
  const names = readdirSync(directory).filter((name) => name.endsWith('.segment'));
  return Object.fromEntries(names.map((name) => [name, statSync(join(directory, name)).size]));
}

/** Syncs fail while a file of that name exists: see test/buffer/disk/failing-sync.c. */
async function failedSync(): Promise<unknown> {
  const { store, counted } = openStore({ directory });
  const first = put(store, makeChunk({ tag: 'first' }), ['x']);
  const before = await store.flush();
  const whole = segments();
  writeFileSync(flag, '');
  let durable = 0;
  const memory = makeChunk({ tag: 'second' });
  const second = put(store, memory, ['x'], { onDurable: () => durable++ });
  const during = await store.flush();
  const seen = { isFailing: store.isFailing, durable, busy: second.busy };
  rmSync(flag);
  const after = await store.flush();
  const places = [first, second].map(({ place }) => place?.segment.number);
  const all = [...(await readAll(store)).values()];
  store.settle(first, 'x', 0, 3);
  await store.tick();
  const left = Object.keys(segments());
  await store.close();
  const again = openStore({ directory });
  const reopened = [...(await readAll(again.store)).values()];
  await again.store.close();
  const failures = counted('failures');
  const expected = contents(memory);
  return { before, whole, during, seen, after, places, all, left, durable, failures, reopened, expected };
}

function takeAll(taken: number[]): void {
  for (;;) {
    try {
      taken.push(openSync('/dev/null', 'r'));
    } catch {
      return;
    }
  }
}

async function noDescriptors(): Promise<unknown> {
  const { store } = openStore({ directory, segmentBytes: 1 });
  const first = put(store, makeChunk(), ['x']);
  await store.flush();
  const taken: number[] = [];
  takeAll(taken);
  put(store, makeChunk(), ['x']);
  const during = await store.flush();
  const { isFailing } = store;
  // The segment that was full has given one back.
  takeAll(taken);
  const error = await store.read(first).then(
    () => undefined,
    (reason: { code?: string }) => reason.code,
  );
  for (const descriptor of taken) closeSync(descriptor);
  const after = await store.flush();
  const read = (await readAll(store)).size;
  const files = Object.keys(segments()).length;
  await store.close();
  return { during, isFailing, error, after, read, files };
}

process.on('unhandledRejection', (error) => {
  throw error;
});
process.stdout.write(JSON.stringify(await (fault === 'sync' ? failedSync() : noDescriptors())));
