/** Listeners of the whole pipeline: no two on one port. From the text, for a plugin that is not there yet has a port too. */
import type { ServiceOptions } from './definition.ts';
import type { Item } from './items.ts';
import type { Plugins } from './plugins.ts';
import type { Problems } from './problem.ts';
import type { Written } from './read-options.ts';
import type { Place } from './source-text.ts';
import { entryOf, textOf } from './tree.ts';
import { readNumber } from './units.ts';

interface Listener {
  host: string;
  port: number;
  udp: boolean;
  place: Place;
  path: string;
  who: string;
}

/** Two listeners on one port. */
export function checkPorts(
  items: readonly Item[],
  service: ServiceOptions,
  httpPort: Written | undefined,
  plugins: Plugins,
  problems: Problems,
): void {
  const listeners: Listener[] = [];
  for (const item of items) {
    const listener = item.kind === 'input' ? listenerOf(item, plugins) : undefined;
    if (listener !== undefined) listeners.push(listener);
  }
  const [firstInput] = listeners;
  if (service.httpServer && service.httpPort !== 0) {
    const place = httpPort?.node.place ?? firstInput?.place;
    if (place !== undefined)
      listeners.unshift({
        host: service.httpListen,
        port: service.httpPort,
        udp: false,
        place,
        path: 'service.http_port',
        who: 'the HTTP server',
      });
  }
  for (const [index, listener] of listeners.entries()) {
    const other = listeners
      .slice(0, index)
      .find(
        (one) => one.port === listener.port && one.udp === listener.udp && sameHost(one.host, listener.host),
      );
    if (other === undefined) continue;
    problems.report(
      listener.place,
      listener.path,
      `port ${listener.port} is taken by ${other.who} already: choose another port`,
    );
  }
}

/** From the text: a plugin that is not there yet has a port too. */
function listenerOf(
  { node, path, definition, plugin, values }: Item,
  plugins: Plugins,
): Listener | undefined {
  const later =
    definition === undefined && plugin !== undefined ? plugins.laterListener('input', plugin) : undefined;
  const declared =
    definition !== undefined &&
    Object.hasOwn(definition.options, 'port') &&
    Object.hasOwn(definition.options, 'listen');
  if (!declared && later?.port === undefined) return undefined;
  const mode = (
    textOf(node, 'mode') ?? (typeof values['mode'] === 'string' ? values['mode'] : '')
  ).toLowerCase();
  if (declared && textOf(node, 'unix_path') !== undefined) return undefined;
  if (mode.startsWith('unix') || (plugin === 'syslog' && mode === '')) return undefined;
  const entry = entryOf(node, 'port');
  const text = textOf(node, 'port');
  const reading = text === undefined ? undefined : readNumber(text, { min: 1, max: 65_535 }, true);
  const fallback = declared ? values['port'] : later?.port;
  const port = reading === undefined ? fallback : reading.ok ? reading.value : undefined;
  if (typeof port !== 'number' || port === 0) return undefined;
  const host =
    textOf(node, 'listen') ?? (typeof values['listen'] === 'string' ? values['listen'] : '127.0.0.1');
  const place = entry?.value.place ?? node.place;
  const { file, line } = place.source.position(place.offset);
  return {
    host,
    port,
    udp: mode.includes('udp') || later?.udp === true || isOfDatagrams(definition),
    place,
    path: entry === undefined ? path : `${path}.port`,
    who: `the input ${plugin ?? ''} in ${file}:${line}`,
  };
}

function isOfDatagrams(definition: Item['definition']): boolean {
  return definition !== undefined && 'datagrams' in definition && (definition.datagrams ?? false);
}

/** Whether two addresses stand in each other's way. */
function sameHost(a: string, b: string): boolean {
  return a === b || isAny(a) || isAny(b) || (isLoopback(a) && isLoopback(b));
}

function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
