/** What signals mean to a running agent. */
import { closeSync, openSync } from 'node:fs';

export interface SignalActions {
  /** First SIGTERM, SIGINT or SIGQUIT. */
  stop(signal: NodeJS.Signals): void;
  /** Second one. */
  force(): void;
  reload(): void;
}

/** Listens to the signals; returns a function that stops listening. */
export function onSignals(actions: SignalActions): () => void {
  const hadTerminal = hasTerminal();
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) actions.force();
    else actions.stop(signal);
    stopping = true;
  };
  const hangUp = (): void => {
    // The same signal says that the terminal was closed, and then nobody is there to stop us later.
    if (hadTerminal && !hasTerminal()) stop('SIGHUP');
    else if (!stopping) actions.reload();
  };
  const listeners: [NodeJS.Signals, (signal: NodeJS.Signals) => void][] = [
    ['SIGTERM', stop],
    ['SIGINT', stop],
    ['SIGQUIT', stop],
    ['SIGHUP', hangUp],
  ];
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}

/** Whether the process belongs to a terminal that is still there. */
function hasTerminal(): boolean {
  if (process.platform === 'win32') return false;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
