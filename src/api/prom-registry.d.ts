/**
 * The one module of prom-client that we load: its registry, which formats. The package's main module brings node:http, the
 * default metrics and a tracing library, 18 MB where this takes 4.
 */
declare module 'prom-client/lib/registry.js' {
  import type { Registry } from 'prom-client';
  const registry: typeof Registry;
  export default registry;
}
