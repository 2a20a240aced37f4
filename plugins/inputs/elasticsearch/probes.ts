/**
 * What shippers ask an Elasticsearch before they send: who it is, whether it is well, whether their templates and policies are there. The
 * answers let them go on; nothing is kept of what they set up, since there is no index here.
 *
 * Seen in: Beats, Logstash, Fluent Bit, rsyslog's omelasticsearch, Vector, the OpenTelemetry Collector, the clients of Elastic and OpenSearch.
 */
import { randomUUID } from 'node:crypto';
import type { Answer } from '../../shared/http-receiver/protocol.ts';

export interface NodeFacts {
  /** The version that is told: clients speak accordingly. */
  version: string;
  /** Where clients that look for nodes find this one. */
  hostname: string;
  port: number;
  maxBodyBytes: number;
}

const NAME = 'tailrace';
const SHARDS = { total: 1, successful: 1, failed: 0 };

export class Probes {
  private readonly facts: NodeFacts;
  private readonly id = randomUUID();

  constructor(facts: NodeFacts) {
    this.facts = facts;
  }

  /** The answer to a request that is none for documents; undefined: there is none. `path`: without its query. */
  answer(method: string, path: string): Answer | undefined {
    switch (method) {
      case 'HEAD':
        return { status: 200, body: '' };
      case 'GET':
        return this.answerGet(path);
      case 'PUT':
        return json({ acknowledged: true });
      case 'POST':
        // Done by clients that want to find what they wrote at once.
        return /\/_(?:refresh|flush)$/.test(path) ? json({ _shards: SHARDS }) : undefined;
      default:
        return undefined;
    }
  }

  private answerGet(path: string): Answer {
    if (path === '/') return json(this.info());
    if (path.startsWith('/_nodes')) return json(this.nodes());
    if (path.startsWith('/_cluster/health')) return json(this.health());
    if (path.startsWith('/_cat/health'))
      return {
        status: 200,
        body: `${Math.floor(Date.now() / 1000)} ${NAME} green 1 1 1 1 0 0 0 0 - 100.0%\n`,
        contentType: 'text/plain',
      };
    if (path === '/_license') return json({ license: this.license() });
    if (path === '/_xpack')
      return json({ license: this.license(), features: { ilm: { available: false, enabled: false } } });
    return json({});
  }

  private info(): unknown {
    const { version } = this.facts;
    return {
      name: NAME,
      cluster_name: NAME,
      cluster_uuid: this.id,
      version: {
        number: version,
        build_flavor: 'default',
        build_type: NAME,
        build_hash: 'unknown',
        build_date: '1970-01-01T00:00:00.000Z',
        build_snapshot: false,
        lucene_version: '9.0.0',
        minimum_wire_compatibility_version: '7.17.0',
        minimum_index_compatibility_version: '7.0.0',
      },
      // Clients of version 7 go by it.
      tagline: 'You Know, for Search',
    };
  }

  private nodes(): unknown {
    const { version, hostname, port, maxBodyBytes } = this.facts;
    return {
      _nodes: SHARDS,
      cluster_name: NAME,
      nodes: {
        [this.id]: {
          name: NAME,
          version,
          host: hostname,
          roles: ['data', 'ingest'],
          http: { publish_address: `${hostname}:${port}`, max_content_length_in_bytes: maxBodyBytes },
        },
      },
    };
  }

  private health(): unknown {
    return {
      cluster_name: NAME,
      status: 'green',
      timed_out: false,
      number_of_nodes: 1,
      number_of_data_nodes: 1,
      active_primary_shards: 1,
      active_shards: 1,
      relocating_shards: 0,
      initializing_shards: 0,
      unassigned_shards: 0,
    };
  }

  /** Beats look for one that is at least basic. */
  private license(): unknown {
    return { uid: this.id, type: 'basic', mode: 'basic', status: 'active' };
  }
}

function json(value: unknown): Answer {
  return { status: 200, body: JSON.stringify(value) };
}
