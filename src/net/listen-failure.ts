/** Why an address cannot be listened on, as a sentence that says what to do. */
import { describeError } from '../telemetry/safe.ts';

export interface ListenAttempt {
  /** Who listens: `http_server`, an input's name. */
  who: string;
  host: string;
  port: number;
  /** The options that say where. */
  hostKey: string;
  portKey: string;
  /** What else can be done when the port is taken: `, or http_server to off`. */
  orElse?: string;
}

/** The sentence for what `listen` failed with. */
export function listenFailure(attempt: ListenAttempt, cause: NodeJS.ErrnoException): string {
  const { who, host, port, hostKey, portKey, orElse = '' } = attempt;
  const where = `${who}: listening on ${host}:${port}`;
  const { code } = cause;
  if (code === 'EADDRINUSE') {
    return `${where}: port ${port} is taken by another process. Stop that one, or set ${portKey} to another${orElse}.`;
  }
  if (code === 'EACCES') {
    return `${where}: this user may not listen on port ${port}. Set ${portKey} to one above 1023, or give it the capability CAP_NET_BIND_SERVICE.`;
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return `${where}: this machine has no address ${host}. Set ${hostKey} to one that it has, 127.0.0.1 for instance.`;
  }
  return `${where}: ${describeError(cause)}.`;
}
