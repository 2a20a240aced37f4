/** Why the HTTP server cannot listen; apart from the server, so that naming it does not load the server. */
import { listenFailure } from '../net/listen-failure.ts';

/** The address cannot be listened on. The message is a sentence for the user. */
export class ListenError extends Error {
  override name = 'ListenError';
  /** `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, … */
  readonly code: string;

  constructor(host: string, port: number, cause: NodeJS.ErrnoException) {
    const keys = { hostKey: 'http_listen', portKey: 'http_port', orElse: ', or http_server to off' };
    super(listenFailure({ who: 'http_server', host, port, ...keys }, cause), { cause });
    this.code = cause.code ?? '';
  }
}
