/** Why the HTTP server cannot listen; apart from the server, so that naming it does not load the server. */
import { describeError } from '../telemetry/safe.ts';

/** The address cannot be listened on. The message is a sentence for the user. */
export class ListenError extends Error {
  override name = 'ListenError';
  /** `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, … */
  readonly code: string;

  constructor(host: string, port: number, cause: NodeJS.ErrnoException) {
    super(sentence(host, port, cause), { cause });
    this.code = cause.code ?? '';
  }
}

function sentence(host: string, port: number, cause: NodeJS.ErrnoException): string {
  const where = `http_server: listening on ${host}:${port}`;
  const { code } = cause;
  if (code === 'EADDRINUSE') {
    return `${where}: port ${port} is taken by another process. Stop that one, set http_port to another, or http_server to off.`;
  }
  if (code === 'EACCES') {
    return `${where}: this user may not listen on port ${port}. Set http_port to one above 1023.`;
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `${where}: this machine has no address ${host}. Set http_listen to one that it has, 127.0.0.1 for instance.`;
  }
  return `${where}: ${describeError(cause)}.`;
}
