/**
 * Says when something came on a descriptor that Node.js cannot watch: the kernel sends SIGIO. A signal can be lost (another library may use
 * it too), so there is a slow look beside it.
 *
 * Once there, the handler stays: without one, a late signal would end the process.
 */

/** Milliseconds. */
const LOOK_MS = 1000;

const waiting = new Set<() => void>();
let isHandled = false;
let timer: NodeJS.Timeout | undefined;

function look(): void {
  for (const one of waiting) one();
}

/** Calls `look` whenever something may have come. Returns what ends that. */
export function onArrival(one: () => void): () => void {
  if (!isHandled) process.on('SIGIO', look);
  isHandled = true;
  waiting.add(one);
  timer ??= setInterval(look, LOOK_MS);
  return () => {
    waiting.delete(one);
    if (waiting.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}
