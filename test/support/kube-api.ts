/**
 * A stand-in for the API server of Kubernetes, and for a kubelet: lists, watches and single objects over real HTTP, and the failures that
 * a real one cannot be made to have when a test wants them. The service suites run against the real one.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tlsFile } from '../net/servers.ts';
import { listenBelow } from './ports.ts';

export interface StandInPod {
  namespace?: string;
  name: string;
  uid?: string;
  node?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: readonly object[];
  podIp?: string;
  /** Container name to id, without scheme; empty: not started yet. */
  containers?: Record<string, string>;
}

interface Metadata {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  [key: string]: unknown;
}

export interface StandInObject {
  metadata: Metadata;
  spec?: { nodeName?: string; containers?: readonly object[] };
  [key: string]: unknown;
}

interface Watcher {
  response: ServerResponse;
  path: string;
  node: string | undefined;
}

export type RequestKind = 'list' | 'watch' | 'get';

export class KubeStandIn {
  port = 0;
  /** `GET /path?query`, in order. */
  readonly requests: string[] = [];
  /** Tokens that are taken; empty: any, and none. */
  readonly tokens = new Set<string>();
  /** Statuses that requests of a kind are answered with in place of what they ask for. */
  readonly refuse = new Map<RequestKind, number>();
  /** How a watch from a resource version that is too old is answered. */
  goneBy: 'status' | 'event' = 'event';
  /** Requests get no answer. */
  silent = false;
  private readonly objects = new Map<string, StandInObject>();
  private readonly history: { type: string; path: string; object: StandInObject; version: number }[] = [];
  private readonly watchers = new Set<Watcher>();
  private readonly changed = new Set<() => void>();
  private version = 100;
  private oldest = 0;
  private readonly server: Server;
  private readonly isEncrypted: boolean;

  /** `encrypted`: by the certificate of the tests. */
  constructor({ encrypted = false } = {}) {
    const answer: RequestListener = (request, response) => this.answer(request, response);
    const [cert, key] = [tlsFile('server.pem'), tlsFile('server.key')];
    this.isEncrypted = encrypted;
    this.server = encrypted
      ? createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, answer)
      : createServer(answer);
  }

  async open(port = 0): Promise<this> {
    this.port = await listenBelow(this.server, port);
    return this;
  }

  get url(): string {
    return `${this.isEncrypted ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  get watching(): number {
    return this.watchers.size;
  }

  count(kind: RequestKind): number {
    return this.requests.filter((request) => kindOf(request) === kind).length;
  }

  /** Resolves when that is so; looked at with every request and every watch that ends. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        const once = (): void => {
          this.changed.delete(once);
          resolve();
        };
        this.changed.add(once);
      });
    }
  }

  /** Adds or changes a pod. */
  putPod({
    namespace = 'default',
    name,
    uid = `uid-of-${name}`,
    node = 'node-1',
    labels,
    annotations,
    ownerReferences,
    podIp,
    containers = { app: '' },
  }: StandInPod): void {
    const names = Object.keys(containers);
    this.put(`/api/v1/namespaces/${namespace}/pods`, {
      metadata: {
        name,
        namespace,
        uid,
        resourceVersion: '',
        labels,
        annotations,
        ownerReferences,
        managedFields: [{ manager: 'kubelet' }],
      },
      spec: {
        nodeName: node,
        containers: names.map((each) => ({ name: each, image: `registry.local/${each}:1` })),
      },
      status: {
        podIP: podIp,
        hostIP: '10.0.0.1',
        containerStatuses: names
          .filter((each) => containers[each] !== '')
          .map((each) => ({
            name: each,
            containerID: `containerd://${containers[each]}`,
            image: `registry.local/${each}:1`,
            imageID: `registry.local/${each}@sha256:abc`,
          })),
      },
    });
  }

  putNamespace(
    name: string,
    labels: Record<string, string> = {},
    annotations: Record<string, string> = {},
  ): void {
    this.put('/api/v1/namespaces', {
      metadata: { name, uid: `uid-of-${name}`, resourceVersion: '', labels, annotations },
    });
  }

  /** Adds or changes any object of a collection. */
  put(collection: string, object: StandInObject): StandInObject {
    const key = `${collection}/${object.metadata.name}`;
    const type = this.objects.has(key) ? 'MODIFIED' : 'ADDED';
    return this.change(type, key, {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++this.version) },
    });
  }

  deletePod(name: string, namespace = 'default'): void {
    const key = `/api/v1/namespaces/${namespace}/pods/${name}`;
    const object = this.objects.get(key);
    if (object === undefined) throw new Error(`There is no pod ${name}.`);
    this.change('DELETED', key, {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++this.version) },
    });
  }

  /** Changes happen that no watch tells: what was seen before is too old. */
  compact(): void {
    this.history.length = 0;
    this.oldest = ++this.version;
  }

  /** Ends all watches: as the server does when their time is over, or as a broken connection. */
  endWatches(how: 'end' | 'break' = 'end'): void {
    for (const { response } of this.watchers) {
      if (how === 'end') response.end();
      else response.destroy();
    }
  }

  /** A line to all watches as it is. */
  sendLine(line: string): void {
    for (const { response } of this.watchers) response.write(`${line}\n`);
  }

  sendBookmark(): void {
    this.sendLine(
      JSON.stringify({
        type: 'BOOKMARK',
        object: { kind: 'Pod', metadata: { resourceVersion: String(this.version) } },
      }),
    );
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
  }

  private change(type: string, key: string, object: StandInObject): StandInObject {
    const path = key.slice(0, key.lastIndexOf('/'));
    if (type === 'DELETED') this.objects.delete(key);
    else this.objects.set(key, object);
    this.history.push({ type, path, object, version: this.version });
    for (const watcher of this.watchers)
      if (isOf(watcher, path, object)) watcher.response.write(lineOf(type, object));
    return object;
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? '';
    this.requests.push(`${request.method} ${url}`);
    this.tell();
    response.on('close', () => this.tell());
    if (this.silent) return;
    const kind = kindOf(`GET ${url}`);
    const token = (request.headers.authorization ?? '').replace('Bearer ', '');
    if (this.tokens.size > 0 && !this.tokens.has(token))
      return send(response, 401, { kind: 'Status', message: 'Unauthorized' });
    const refused = this.refuse.get(kind);
    if (refused !== undefined)
      return send(response, refused, { kind: 'Status', message: `${kind} is refused`, code: refused });
    const { pathname, searchParams } = new URL(url, 'http://server');
    if (pathname === '/pods') return send(response, 200, this.list('/api/v1/pods', searchParams));
    if (kind === 'watch') return this.watch(pathname, searchParams, response);
    if (kind === 'list') return send(response, 200, this.list(pathname, searchParams));
    const object = this.objects.get(decodeURIComponent(pathname));
    send(response, object === undefined ? 404 : 200, object ?? { kind: 'Status', message: 'not found' });
  }

  private list(path: string, query: URLSearchParams): object {
    const from = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? 1e9);
    const node = nodeOf(query);
    const all = [...this.objects].filter(([key, object]) =>
      isOf({ path, node }, key.slice(0, key.lastIndexOf('/')), object),
    );
    const items = all.slice(from, from + limit).map(([, object]) => object);
    const more = from + limit < all.length ? { continue: String(from + limit) } : {};
    return { kind: 'List', metadata: { resourceVersion: String(this.version), ...more }, items };
  }

  private watch(path: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    const gone = {
      kind: 'Status',
      status: 'Failure',
      reason: 'Expired',
      code: 410,
      message: 'too old resource version',
    };
    if (from < this.oldest) {
      if (this.goneBy === 'status') return send(response, 410, gone);
      response.end(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`);
      return;
    }
    const watcher = { response, path, node: nodeOf(query) };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const { type, path: changed, object, version } of this.history)
      if (version > from && isOf(watcher, changed, object)) response.write(lineOf(type, object));
    this.watchers.add(watcher);
    response.on('close', () => {
      this.watchers.delete(watcher);
      this.tell();
    });
    this.tell();
  }

  private tell(): void {
    for (const once of this.changed) once();
  }
}

/** Whether an object of a collection is in a list or watch: of the collection, or of those of all namespaces. */
function isOf(
  { path, node }: { path: string; node: string | undefined },
  collection: string,
  object: StandInObject,
): boolean {
  const isIn = collection === path || collection.replace(/\/namespaces\/[^/]+\//, '/') === path;
  return isIn && (node === undefined || object.spec?.nodeName === node);
}

function nodeOf(query: URLSearchParams): string | undefined {
  return query.get('fieldSelector')?.replace('spec.nodeName=', '');
}

function lineOf(type: string, object: StandInObject): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function kindOf(request: string): RequestKind {
  if (/[?&]watch=/.test(request)) return 'watch';
  return /^GET (?:\/pods|\/api\/v1\/(?:namespaces\/[^/?]+\/)?(?:pods|events|namespaces))(?:\?|$)/.test(
    request,
  )
    ? 'list'
    : 'get';
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
