/**
 * kubernetes_events: the events of a cluster, or of one namespace, as the API server gives them. Where it is, is remembered by resource
 * version and kept behind delivery: a restart neither loses nor doubles what the API server still has.
 */
import { defineInput, ignored, integer, path, string, time } from '../../src/plugin.ts';
import { checkKubernetesApi, kubernetesApiOptions } from '../shared/kubernetes/api/index.ts';

export default defineInput({
  name: 'kubernetes_events',
  summary: 'Reads the events of a Kubernetes cluster',
  options: {
    ...kubernetesApiOptions,
    kube_namespace: string().optional().describe('Namespace whose events are read. Default: all.'),
    kube_retention_time: time()
      .default('1h')
      .describe(
        'Where no position is remembered yet, events whose time is longer ago are not read. (Fluent Bit leaves out such events later, too.)',
      ),
    kube_request_limit: integer({ min: 0 })
      .default(0)
      .describe('Events per page of a list; 0: 500. (Fluent Bit: 0 is all in one answer.)'),
    kube_watch_timeout: time()
      .default('10m')
      .describe(
        'The server ends a watch after this time, and a connection that is silent for it is given up; 0: neither.',
      ),
    interval_sec: integer({ min: 0 })
      .default(0)
      .describe('Seconds before a watch that has ended is begun again, together with interval_nsec.'),
    interval_nsec: integer({ min: 0 }).default(500_000_000).describe('Nanoseconds of the same.'),
    db: path()
      .optional()
      .describe(
        'File of its own for the position. Default: with those of the other inputs, in state_path. A file of Fluent Bit is read once, to go on behind the newest event in it.',
      ),
    'db.sync': ignored('positions are written after every response and synced once a second'),
    'db.locking': ignored('positions are always locked'),
    'db.journal_mode': ignored('the journal is always WAL'),
    listen: ignored('this plugin connects, it does not listen'),
    host: ignored('the API server is named by kube_url'),
    port: ignored('the API server is named by kube_url'),
  },
  target: ['kube_url', 'kube_namespace'],
  example: `pipeline:
  inputs:
    - name: kubernetes_events
      tag: k8s.events
  outputs:
    - name: stdout
      match: k8s.events
      format: json_lines
`,
  check: (options) => checkKubernetesApi(options),
  async create(options, context) {
    const { openEvents } = await import('./kubernetes_events/open.ts');
    return openEvents(options, context);
  },
});
