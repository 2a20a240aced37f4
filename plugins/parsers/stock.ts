/**
 * The parsers that are there without being defined, under the names and with the fields of Fluent Bit's parsers.conf, and `syslog`, which is
 * ours. A parser of the same name in the configuration takes their place.
 */

import type { StockParser } from '../../src/plugin.ts';

const ISO_TIME = '%Y-%m-%dT%H:%M:%S.%L';
const ISO_TIME_ZONE = `${ISO_TIME}%z`;
const ACCESS_LOG_TIME = '%d/%b/%Y:%H:%M:%S %z';
const SYSLOG_TIME = '%b %d %H:%M:%S';

interface Time {
  format: string;
  key?: string;
  keep?: boolean;
}

function timeKeys({ format, key = 'time', keep = false }: Time): Record<string, string> {
  return { time_key: key, time_format: format, ...(keep ? { time_keep: 'on' } : {}) };
}

/** A regex parser from the parts of its expression. */
function regex(name: string, parts: readonly string[], time?: Time): StockParser {
  return {
    name,
    format: 'regex',
    options: { regex: parts.join(''), ...(time === undefined ? {} : timeKeys(time)) },
  };
}

const RFC3164_START = String.raw`^\<(?<pri>[0-9]+)\>(?<time>[^ ]* {1,2}[^ ]* [^ ]*) `;
const RFC3164_END = String.raw`(?<ident>[a-zA-Z0-9_\/\.\-]*)(?:\[(?<pid>[0-9]+)\])?(?:[^\:]*\:)? *(?<message>.*)$`;
const REQUEST = String.raw`"(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)`;
const ENVOY_REQUEST = String.raw`^\[(?<start_time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)? (?<protocol>\S+)" `;
const MAC_BYTE = '[0-9a-f]{2}';
const MAC = Array.from({ length: 6 }, () => MAC_BYTE).join(':');

/** `KEY=value ` of a netfilter line. */
function netfilter(key: string, group: string): string {
  return `${key}=(?<${group}>[^ ]*) `;
}

/** A part of a netfilter line that may be missing, with or without its key. */
function optional(key: string, group: string, value = '[0-9]*'): string {
  return String.raw`\s?((${key}=)?(?<${group}>${value}))`;
}

export const stockParsers: readonly StockParser[] = [
  regex(
    'nginx',
    [
      String.raw`^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] `,
      REQUEST,
      String.raw`(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")`,
    ],
    { format: ACCESS_LOG_TIME },
  ),
  regex(
    'k8s-nginx-ingress',
    [
      String.raw`^(?<host>[^ ]*) - (?<user>[^ ]*) \[(?<time>[^\]]*)\] `,
      REQUEST,
      String.raw` "(?<referer>[^\"]*)" "(?<agent>[^\"]*)" (?<request_length>[^ ]*) (?<request_time>[^ ]*) `,
      String.raw`\[(?<proxy_upstream_name>[^ ]*)\] (\[(?<proxy_alternative_upstream_name>[^ ]*)\] )?`,
      '(?<upstream_addr>[^ ]*) (?<upstream_response_length>[^ ]*) (?<upstream_response_time>[^ ]*) ',
      '(?<upstream_status>[^ ]*) (?<reg_id>[^ ]*).*$',
    ],
    { format: ACCESS_LOG_TIME },
  ),
  regex(
    'apache',
    [
      String.raw`^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] `,
      REQUEST,
      String.raw`(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$`,
    ],
    { format: ACCESS_LOG_TIME },
  ),
  regex(
    'apache2',
    [
      String.raw`^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] `,
      String.raw`"(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)`,
      String.raw`(?: "(?<referer>[^\"]*)" "(?<agent>.*)")?$`,
    ],
    { format: ACCESS_LOG_TIME },
  ),
  regex('apache_error', [
    String.raw`^\[[^ ]* (?<time>[^\]]*)\] \[(?<level>[^\]]*)\](?: \[pid (?<pid>[^\]]*)\])?`,
    String.raw`( \[client (?<client>[^\]]*)\])? (?<message>.*)$`,
  ]),
  { name: 'json', format: 'json', options: timeKeys({ format: ACCESS_LOG_TIME }) },
  { name: 'logfmt', format: 'logfmt', options: {} },
  { name: 'docker', format: 'json', options: timeKeys({ format: ISO_TIME, keep: true }) },
  regex('docker-daemon', ['time="(?<time>[^ ]*)" level=(?<level>[^ ]*) msg="(?<msg>[^ ].*)"'], {
    format: ISO_TIME,
    keep: true,
  }),
  regex(
    'syslog-rfc5424',
    [
      String.raw`^\<(?<pri>[0-9]{1,5})\>1 (?<time>[^ ]+) (?<host>[^ ]+) (?<ident>[^ ]+) (?<pid>[-0-9]+) `,
      String.raw`(?<msgid>[^ ]+) (?<extradata>(\[(.*?)\]|-)) (?<message>.+)$`,
    ],
    { format: ISO_TIME_ZONE, keep: true },
  ),
  regex('syslog-rfc3164', [RFC3164_START, '(?<host>[^ ]*) ', RFC3164_END], {
    format: SYSLOG_TIME,
    keep: true,
  }),
  { name: 'syslog', format: 'syslog', options: {} },
  regex('syslog-rfc3164-local', [RFC3164_START, RFC3164_END], { format: SYSLOG_TIME, keep: true }),
  regex(
    'mongodb',
    [
      String.raw`^(?<time>[^ ]*)\s+(?<severity>\w)\s+(?<component>[^ ]+)\s+\[(?<context>[^\]]+)]\s+`,
      String.raw`(?<message>.*?) *(?<ms>(\d+))?(:?ms)?$`,
    ],
    { format: ISO_TIME, keep: true },
  ),
  regex(
    'envoy',
    [
      ENVOY_REQUEST,
      '(?<code>[^ ]*) (?<response_flags>[^ ]*) (?<bytes_received>[^ ]*) (?<bytes_sent>[^ ]*) (?<duration>[^ ]*) ',
      '(?<x_envoy_upstream_service_time>[^ ]*) "(?<x_forwarded_for>[^ ]*)" ',
      String.raw`"(?<user_agent>[^\"]*)" "(?<request_id>[^\"]*)" "(?<authority>[^ ]*)" "(?<upstream_host>[^ ]*)"`,
    ],
    { format: ISO_TIME_ZONE, key: 'start_time', keep: true },
  ),
  regex(
    'istio-envoy-proxy',
    [
      ENVOY_REQUEST,
      '(?<response_code>[^ ]*) (?<response_flags>[^ ]*) (?<response_code_details>[^ ]*) ',
      '(?<connection_termination_details>[^ ]*) "(?<upstream_transport_failure_reason>[^ ]*)" ',
      '(?<bytes_received>[^ ]*) (?<bytes_sent>[^ ]*) (?<duration>[^ ]*) (?<x_envoy_upstream_service_time>[^ ]*) ',
      String.raw`"(?<x_forwarded_for>[^ ]*)" "(?<user_agent>[^\"]*)" "(?<x_request_id>[^\"]*)" `,
      '"(?<authority>[^ ]*)" "(?<upstream_host>[^ ]*)" (?<upstream_cluster>[^ ]*) ',
      '(?<upstream_local_address>[^ ]*) (?<downstream_local_address>[^ ]*) ',
      '(?<downstream_remote_address>[^ ]*) (?<requested_server_name>[^ ]*) (?<route_name>[^  ]*)$',
    ],
    { format: ISO_TIME_ZONE, key: 'start_time', keep: true },
  ),
  regex('cri', ['^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$'], {
    format: ISO_TIME_ZONE,
    keep: true,
  }),
  regex('kube-custom', [
    String.raw`(?<tag>[^.]+)?\.?(?<pod_name>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)`,
    String.raw`_(?<namespace_name>[^_]+)_(?<container_name>.+)-(?<docker_id>[a-z0-9]{64})\.log$`,
  ]),
  regex(
    'kmsg-netfilter-log',
    [
      String.raw`^\<(?<pri>[0-9]{1,5})\>1 (?<time>[^ ]+) (?<host>[^ ]+) kernel - - - \[[0-9\.]*\] (?<logprefix>[^ ]*)\s?`,
      netfilter('IN', 'in'),
      netfilter('OUT', 'out'),
      `MAC=(?<macsrc>${MAC}):(?<macdst>${MAC}):(?<ethtype>${MAC_BYTE}:${MAC_BYTE}) `,
      netfilter('SRC', 'saddr'),
      netfilter('DST', 'daddr'),
      netfilter('LEN', 'len'),
      netfilter('TOS', 'tos'),
      netfilter('PREC', 'prec'),
      netfilter('TTL', 'ttl'),
      netfilter('ID', 'id'),
      String.raw`(D*F*)\s*PROTO=(?<proto>[^ ]*)`,
      optional('SPT', 'sport'),
      optional('DPT', 'dport'),
      optional('LEN', 'protolen'),
      optional('WINDOW', 'window'),
      optional('RES', 'res', '0?x?[0-9]*'),
      String.raw`\s?(?<flag>[^ ]*)`,
      optional('URGP', 'urgp'),
    ],
    { format: ISO_TIME_ZONE },
  ),
];
