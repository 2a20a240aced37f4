import { describe, expect, it } from 'vitest';
import { stockParsers } from '../../../plugins/parsers/stock.ts';
import { check, createParser, parseLine } from './parsing.ts';

const MAC = '01:23:45:67:89:ab:cd:ef:01:23:45:67:08:00';

/** A line that each parser takes, and some of what it makes of it. */
const LINES: Record<string, [line: string, record: Record<string, unknown>, seconds: number]> = {
  nginx: [
    '10.0.0.1 host bob [10/Oct/2000:13:55:36 -0700] "GET /a b HTTP/1.1" 200 5 "-" "curl"',
    {
      remote: '10.0.0.1',
      host: 'host',
      user: 'bob',
      method: 'GET',
      path: '/a b',
      code: '200',
      size: '5',
      agent: 'curl',
    },
    971211336,
  ],
  'k8s-nginx-ingress': [
    '10.0.0.1 - bob [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "curl" 90 0.01 [default-web-80] [] 10.0.0.2:80 5 0.01 200 abc',
    { host: '10.0.0.1', proxy_upstream_name: 'default-web-80', upstream_status: '200', reg_id: 'abc' },
    971211336,
  ],
  apache: [
    'h - u [10/Oct/2000:13:55:36 -0700] "GET /x HTTP/1.0" 200 5 "ref" "agent"',
    { host: 'h', user: 'u', path: '/x', referer: 'ref', agent: 'agent' },
    971211336,
  ],
  apache2: [
    'h - u [10/Oct/2000:13:55:36 -0700] "GET /x HTTP/1.0" 200 5',
    { path: '/x', size: '5' },
    971211336,
  ],
  apache_error: [
    '[Wed Oct 11 14:32:52 2000] [error] [pid 7] [client 127.0.0.1] denied',
    { time: 'Oct 11 14:32:52 2000', level: 'error', pid: '7', client: '127.0.0.1', message: 'denied' },
    Number.NaN,
  ],
  json: ['{"time":"10/Oct/2000:13:55:36 -0700","a":1}', { a: 1 }, 971211336],
  logfmt: ['level=info msg="x y"', { level: 'info', msg: 'x y' }, Number.NaN],
  docker: [
    '{"log":"x\\n","stream":"stdout","time":"2016-10-05T00:00:30.5Z"}',
    { log: 'x\n', stream: 'stdout', time: '2016-10-05T00:00:30.5Z' },
    1475625630,
  ],
  'docker-daemon': [
    'time="2016-10-05T00:00:30.5Z" level=info msg="a "b" c"',
    { level: 'info', msg: 'a "b" c' },
    1475625630,
  ],
  'syslog-rfc5424': [
    '<134>1 2024-12-09T18:25:35.401631+00:00 h app - - [a b="c"] text',
    { pri: '134', host: 'h', ident: 'app', pid: '-', extradata: '[a b="c"]', message: 'text' },
    1733768735,
  ],
  'syslog-rfc3164': [
    '<6>Feb 28 12:00:00 h app[11]: text',
    { pri: '6', host: 'h', ident: 'app', pid: '11', message: 'text' },
    Date.UTC(new Date().getUTCFullYear(), 1, 28, 12) / 1000,
  ],
  syslog: [
    '<34>1 2003-10-11T22:14:15.003Z h su 7 ID47 [a b="c"] text',
    {
      pri: '34',
      facility: 'auth',
      severity: 'crit',
      host: 'h',
      ident: 'su',
      pid: '7',
      msgid: 'ID47',
      structured_data: { a: { b: 'c' } },
      message: 'text',
    },
    1065910455,
  ],
  'syslog-rfc3164-local': [
    '<6>Feb 28 12:00:00 app[11]: text',
    { pri: '6', ident: 'app', pid: '11', message: 'text' },
    Date.UTC(new Date().getUTCFullYear(), 1, 28, 12) / 1000,
  ],
  mongodb: [
    '2014-11-03T18:28:32.450-0500 I NETWORK [init] took 5ms',
    { severity: 'I', component: 'NETWORK', context: 'init', message: 'took', ms: '5' },
    1415039312,
  ],
  envoy: [
    '[2016-04-15T20:17:00.310Z] "POST /api HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21" "locations" "tcp://10.0.2.1:80"',
    { method: 'POST', protocol: 'HTTP/2', code: '204', upstream_host: 'tcp://10.0.2.1:80' },
    1460751420,
  ],
  'istio-envoy-proxy': [
    '[2020-11-25T21:26:18.409Z] "GET /status HTTP/1.1" 418 - via_upstream - "-" 0 135 4 4 "-" "curl" "849" "httpbin:8000" "10.44.1.27:80" out 10.44.1.23:37652 10.0.45.184:8000 10.44.1.23:46520 - default',
    { response_code: '418', x_request_id: '849', route_name: 'default' },
    1606339578,
  ],
  cri: [
    '2016-10-06T00:17:09.669794202Z stdout F text',
    { stream: 'stdout', logtag: 'F', message: 'text', time: '2016-10-06T00:17:09.669794202Z' },
    1475713029,
  ],
  'kube-custom': [
    `kube.web-0_default_app-${'a'.repeat(64)}.log`,
    { tag: 'kube', pod_name: 'web-0', namespace_name: 'default', container_name: 'app' },
    Number.NaN,
  ],
  'kmsg-netfilter-log': [
    `<6>1 2021-03-04T05:06:07.5Z fw kernel - - - [1.5] DROP IN=eth0 OUT= MAC=${MAC} SRC=1.1.1.1 DST=2.2.2.2 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=1 DPT=22 WINDOW=5 RES=0x00 SYN URGP=0`,
    {
      logprefix: 'DROP',
      in: 'eth0',
      macdst: 'cd:ef:01:23:45:67',
      ethtype: '08:00',
      proto: 'TCP',
      dport: '22',
      flag: 'SYN',
      urgp: '0',
    },
    1614834367,
  ],
};

describe('stock parsers', () => {
  it('are those of the reference, and syslog', () => {
    expect(stockParsers.map(({ name }) => name)).toEqual(Object.keys(LINES));
  });

  it.each(stockParsers.map((stock) => [stock.name, stock] as const))('%s', (name, { format, options }) => {
    const entry = { name, format, ...options };
    expect(check(entry)).toEqual([]);
    const [line, record, seconds] = LINES[name] as (typeof LINES)[string];
    const event = parseLine(createParser(entry), line);
    expect(event?.record).toMatchObject(record);
    expect(event?.seconds).toBe(seconds);
    expect(parseLine(createParser(entry), '\u0000')).toBeUndefined();
  });
});
