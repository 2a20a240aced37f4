/** The agent's HTTP API. The socket is the watchdog thread's (watchdog-front.ts), the routes are in the main thread (routes.ts). */
import type { ApiContext } from './context.ts';
import { ListenError } from './listen-error.ts';
import { FrontError, Watchdog } from './watchdog.ts';
import type { WatchdogOptions } from './watchdog.ts';

export interface ApiServer {
  /** `http://127.0.0.1:2020`, with the real port. */
  readonly url: string;
  /** Its thread serves. */
  readonly watchdog: Watchdog;
  close(): Promise<void>;
}

/** Nobody is ended, nothing is written. */
const SILENT: Pick<WatchdogOptions, 'timeout' | 'target'> = {
  timeout: 0,
  target: { level: 'off', file: undefined, pretty: false, color: false },
};

/** Starts listening where the configuration says. Throws {@link ListenError}. */
export async function startApi(context: ApiContext, watch = SILENT): Promise<ApiServer> {
  const { httpListen: host, httpPort: port } = context.definition().service;
  // Loaded while the thread starts: 70 ms of every start.
  const loading = import('./routes.ts').then(({ openRoutes }) => openRoutes(context));
  const starting = Watchdog.start({
    ...watch,
    log: context.log,
    site: {
      host,
      port,
      ready: () => context.ready(),
      answer: async (request) => (await loading).answer(request),
    },
  });
  const [thread, routes] = await Promise.allSettled([starting, loading]);
  if (thread.status === 'rejected' || routes.status === 'rejected') {
    if (thread.status === 'fulfilled') await thread.value.close();
    if (routes.status === 'fulfilled') await routes.value.close();
    throw failure(host, port, thread.status === 'rejected' ? thread : (routes as PromiseRejectedResult));
  }
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${thread.value.port ?? port}`,
    watchdog: thread.value,
    async close() {
      await thread.value.close();
      await routes.value.close();
    },
  };
}

function failure(host: string, port: number, { reason }: PromiseRejectedResult): unknown {
  return reason instanceof FrontError
    ? new ListenError(host, port, reason as NodeJS.ErrnoException)
    : (reason as unknown);
}
