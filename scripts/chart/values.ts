/**
 * The chart's own values, as JSON Schema: what helm refuses before anything reaches a cluster. The parts that are pieces of a pipeline
 * refer to the agent's generated schema (`#/$defs/…`), those that go into objects of Kubernetes as they are stay free: the API server
 * knows them better.
 */
import type { JsonSchema } from '../../src/config/options.ts';

const text: JsonSchema = { type: 'string' };
const flag: JsonSchema = { type: 'boolean' };
/** Goes to Kubernetes as it is. */
const object: JsonSchema = { type: 'object' };
const objects: JsonSchema = { type: 'array', items: { type: 'object' } };
const texts: JsonSchema = { type: 'array', items: text };
const words: JsonSchema = { type: 'object', additionalProperties: text };
const count: JsonSchema = { type: 'integer', minimum: 1 };
/** Seconds, or a number with a unit. */
const time: JsonSchema = {
  anyOf: [
    { type: 'number', minimum: 0 },
    { type: 'string', pattern: '^[0-9.]+(ms|s|m|h|d)?$' },
  ],
};
const amount: JsonSchema = {
  anyOf: [
    { type: 'integer', minimum: 0 },
    { type: 'string', pattern: '^[0-9]+%$' },
  ],
};
const absolute: JsonSchema = { type: 'string', pattern: '^/' };
const path: JsonSchema = { anyOf: [{ const: '' }, absolute] };
const port: JsonSchema = { type: 'integer', minimum: 1024, maximum: 65_535 };
const oneOf = (...values: readonly string[]): JsonSchema => ({ enum: values });

function closed(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = [],
): JsonSchema {
  return {
    type: 'object',
    additionalProperties: false,
    properties,
    ...(required.length === 0 ? {} : { required }),
  };
}

/** A Prometheus Operator's monitor. */
const monitor = closed({
  enabled: flag,
  interval: text,
  scrapeTimeout: text,
  labels: words,
  relabelings: objects,
  metricRelabelings: objects,
});

/** Empty, or a whole output with its name. */
const OUTPUT: JsonSchema = {
  type: 'object',
  if: { minProperties: 1 },
  // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's word.
  then: { $ref: '#/$defs/output' },
};

const list = (of: string): JsonSchema => ({ type: 'array', items: { $ref: `#/$defs/${of}` } });

export const valuesSchema: JsonSchema = closed({
  global: object,
  nameOverride: text,
  fullnameOverride: text,

  clusterName: { type: 'string', pattern: '^[A-Za-z0-9._-]*$' },
  output: OUTPUT,

  kind: oneOf('DaemonSet', 'Deployment'),
  image: closed({
    repository: { type: 'string', minLength: 1 },
    tag: text,
    digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
    pullPolicy: oneOf('Always', 'IfNotPresent', 'Never'),
  }),
  imagePullSecrets: objects,

  logs: closed({
    access: oneOf('group', 'capability'),
    groups: { type: 'array', items: { type: 'integer', minimum: 0 } },
    paths: { type: 'array', items: absolute },
    options: object,
    excludeOwn: flag,
  }),
  config: closed({
    service: { $ref: '#/$defs/service' },
    env: { $ref: '#/$defs/env' },
    parsers: { $ref: '#/$defs/parsers' },
    multiline_parsers: { $ref: '#/$defs/multiline_parsers' },
    inputs: list('input'),
    filters: list('filter'),
    outputs: list('output'),
    text,
    existingConfigMap: text,
  }),
  secretEnv: {
    type: 'object',
    propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' },
    additionalProperties: closed(
      { name: { type: 'string', minLength: 1 }, key: { type: 'string', minLength: 1 }, optional: flag },
      ['name', 'key'],
    ),
  },
  env: objects,
  envFrom: objects,
  hotReload: closed({ enabled: flag, interval: time }),

  state: closed({
    type: oneOf('', 'hostPath', 'emptyDir', 'persistentVolumeClaim', 'none'),
    hostPath: path,
    claimName: text,
    sizeLimit: text,
    prepare: flag,
  }),
  extraVolumes: objects,
  extraVolumeMounts: objects,

  port,
  ports: {
    type: 'array',
    items: closed(
      {
        name: { type: 'string', pattern: '^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$' },
        port,
        protocol: oneOf('TCP', 'UDP'),
        appProtocol: text,
      },
      ['name', 'port'],
    ),
  },
  service: closed({
    type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer'),
    annotations: words,
    trafficDistribution: text,
  }),

  replicas: { type: 'integer', minimum: 0 },
  autoscaling: closed({ enabled: flag, minReplicas: count, maxReplicas: count, cpu: count }),
  podDisruptionBudget: closed({ enabled: flag, maxUnavailable: amount }),
  updateStrategy: object,
  minReadySeconds: { type: 'integer', minimum: 0 },

  resources: object,
  everyNode: flag,
  tolerations: objects,
  nodeSelector: words,
  affinity: object,
  topologySpreadConstraints: objects,
  priorityClassName: text,
  runtimeClassName: text,
  terminationGracePeriodSeconds: { type: 'integer', minimum: 5 },
  podAnnotations: words,
  podLabels: words,
  user: { type: 'integer', minimum: 1 },
  seLinuxOptions: object,
  probes: closed({ liveness: object, readiness: object, startup: object }),

  serviceAccount: closed({ create: flag, name: text, annotations: words }),
  rbac: closed({ create: flag, events: flag, kubelet: flag, rules: objects }),
  networkPolicy: closed({ enabled: flag, metricsFrom: objects, portsFrom: objects, egress: objects }),

  podMonitor: monitor,
  serviceMonitor: monitor,
  prometheusRule: closed({
    enabled: flag,
    labels: words,
    alertLabels: words,
    lagBytes: count,
    bufferShare: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
    disabled: texts,
  }),
  dashboard: closed({ enabled: flag, labels: words, annotations: words, namespace: text }),
});
