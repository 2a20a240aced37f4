/** The suites against real servers, and what each needs installed: `npm run test:services [name…]`. */
import { elasticsearch } from './servers/elasticsearch.ts';
import { journald } from './servers/journald.ts';
import { kafka } from './servers/kafka.ts';
import { loki } from './servers/loki.ts';
import { otelcol } from './servers/otelcol.ts';
import { opensearch } from './servers/opensearch.ts';
import { moto } from './servers/moto.ts';
import { versitygw } from './servers/versitygw.ts';
import { kubernetes } from './servers/kubernetes.ts';
import { rsyslog } from './servers/rsyslog.ts';
import { syslogNg } from './servers/syslog-ng.ts';
import { fluentLoggers } from './servers/fluent-logger.ts';
import { dockerSplunk } from './servers/docker-splunk.ts';
import { rsyslogElasticsearch } from './servers/rsyslog-elasticsearch.ts';
import { syslogNgHttp } from './servers/syslog-ng-http.ts';
import { helm, kubernetesValidate, operatorDefinitions, promtool } from './servers/helm.ts';
import type { Service } from './support/service.ts';

/** `test/services/NAME.test.ts` and its servers. */
export const SUITES: Readonly<Record<string, readonly Service[]>> = {
  elasticsearch: [elasticsearch],
  loki: [loki],
  opentelemetry: [otelcol],
  opensearch: [opensearch],
  // A stand-in: nothing to install.
  splunk: [],
  s3: [versitygw, moto],
  syslog: [rsyslog, syslogNg],
  'syslog-input': [rsyslog, syslogNg],
  forward: [otelcol, fluentLoggers],
  'cloudwatch-logs': [moto],
  journald: [journald],
  kafka: [kafka],
  'kafka-input': [kafka],
  receivers: [dockerSplunk, rsyslogElasticsearch, syslogNgHttp],
  'kubernetes-api': [kubernetes],
  'kubernetes-events': [kubernetes],
  'kubernetes-logs': [kubernetes],
  helm: [helm, kubernetesValidate, promtool, operatorDefinitions, kubernetes],
  'fan-out': [elasticsearch, versitygw, moto, loki],
};
