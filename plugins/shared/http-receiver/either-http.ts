/** Where requests of HTTP/1.1 and of HTTP/2 differ, though Node makes them look alike. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, ServerHttp2Stream } from 'node:http2';

/** NGHTTP2_NO_ERROR, for a request that is answered, and NGHTTP2_CANCEL: their module is loaded only by who speaks HTTP/2. */
const NO_ERROR = 0;
const CANCEL = 8;

/** The stream of a request that came by HTTP/2. */
export function streamOf(request: IncomingMessage): ServerHttp2Stream | undefined {
  return request.httpVersionMajor === 2 ? (request as unknown as Http2ServerRequest).stream : undefined;
}

/** Ends a request that is not wanted any more, and nothing else of its connection that others use. */
export function abandon(request: IncomingMessage): void {
  const stream = streamOf(request);
  if (stream === undefined) request.socket.destroy();
  else stream.close(CANCEL);
}

/** Ends a request that is answered and whose body does not go on; by HTTP/1.1 the connection's own time-out does. */
export function endWhenIdle(request: IncomingMessage, milliseconds: number): void {
  const stream = streamOf(request);
  stream?.setTimeout(milliseconds, () => stream.close(NO_ERROR));
}

/** Ends the connection, or stream, of a client that does not read its answer, which is with the response already: a large one must not lie in memory. */
export function endWhenUnread(
  request: IncomingMessage,
  response: ServerResponse,
  milliseconds: number,
): void {
  const stream = streamOf(request);
  if (stream !== undefined) {
    if (stream.writableLength > stream.writableHighWaterMark)
      stream.setTimeout(milliseconds, () => stream.close(CANCEL));
    return;
  }
  const { socket } = request;
  // Others in front of it on the connection may wait for their records.
  if (response.socket !== socket || !socket.writableNeedDrain) return;
  socket.setTimeout(milliseconds);
  // Before the server's own, which sets the time for the next request.
  response.prependOnceListener('finish', () => socket.setTimeout(0));
}

/** Calls `act` when a request gets no data for so long; what it returns ends that. */
export function whenIdle(request: IncomingMessage, milliseconds: number, act: () => void): () => void {
  const stream = streamOf(request);
  if (stream !== undefined) {
    stream.setTimeout(milliseconds, act);
    return () => stream.setTimeout(0);
  }
  request.socket.setTimeout(milliseconds);
  // Not on the socket: without a listener here the server would cut the connection.
  request.once('timeout', act);
  return () => {
    request.socket.setTimeout(0);
    request.off('timeout', act);
  };
}

/** Whether a request that is over, ended or closed, was cut off before all of its body was there. */
export function isCutOff(request: IncomingMessage): boolean {
  const stream = streamOf(request);
  // By HTTP/2 one that was cut off ends like any other, and is called complete.
  return stream === undefined ? !request.complete : stream.aborted || !request.readableEnded;
}
