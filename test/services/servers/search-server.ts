/** What Elasticsearch and OpenSearch have in common for the tests. */
import type { ServerProcess } from '../support/server.ts';

export interface SearchServer {
  url: string;
  port: number;
  process: ServerProcess;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}
