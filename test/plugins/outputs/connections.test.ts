/** What all outputs that connect have in common: the `tls.*` and `net.*` options, and what they do where the output writes to a stream. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registry } from '../../../plugins/index.ts';
import type { Output, OutputDefinition } from '../../../src/plugin.ts';
import { netOptions, RetryableError, tlsOptions } from '../../../src/plugin.ts';
import { contextIn, createOutput, noAbort, sliceOf } from '../../contract/support.ts';
import { tlsFile } from '../../net/servers.ts';
import { StreamSink } from '../../net/sockets.ts';

const LOCAL = new Set(['stdout', 'file', 'null']);

/** Options that an output declares otherwise than the others, and why; `*` for all of a family. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'udp tls*': 'UDP is not encrypted',
  's3 tls': 'AWS is reached by TLS unless it is switched off',
  'cloudwatch_logs tls': 'AWS is reached by TLS unless it is switched off',
  'kafka net.io_timeout': 'an answer that does not come would hold up the session of the producer',
};

const isDifferent = (name: string, key: string): boolean =>
  `${name} ${key}` in DIFFERENT || (key.startsWith('tls') && `${name} tls*` in DIFFERENT);

describe.each(registry.names('output').filter((name) => !LOCAL.has(name)))('%s', (name) => {
  it('has the tls.* and net.* options of all', async () => {
    const definition = (await registry.load('output', name)) as OutputDefinition;
    const problems: string[] = [];
    for (const [key, common] of Object.entries({ ...tlsOptions, ...netOptions })) {
      if (isDifferent(definition.name, key)) continue;
      const spec = definition.options[key]?.spec;
      if (spec === undefined) problems.push(`${key} is missing`);
      else if (spec.ignored !== undefined) continue;
      else if (spec.type !== common.spec.type) problems.push(`${key} is ${spec.type}`);
      else if (spec.defaultText !== common.spec.defaultText) problems.push(`${key} is ${spec.defaultText}`);
      else if (spec.secret !== common.spec.secret) problems.push(`${key} is shown`);
    }
    expect(problems).toEqual([]);
  });
});

const STREAMS: readonly [string, Record<string, string>][] = [
  ['tcp', { tls: 'on', format: 'json_lines' }],
  ['syslog', { mode: 'tls' }],
  ['gelf', { mode: 'tls', gelf_short_message_key: 'log' }],
];

describe.each(STREAMS)('%s by TLS', (name, own) => {
  let cleanUps: (() => Promise<unknown> | void)[];
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tailrace-tls-'));
    cleanUps = [() => rmSync(directory, { recursive: true })];
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const stream = async (tls: TlsOptions = {}): Promise<StreamSink> => {
    const sink = await new StreamSink({ certificate: 'server', tls }).open();
    cleanUps.push(() => sink.close());
    return sink;
  };
  const open = async (sink: StreamSink, options: Record<string, string> = {}): Promise<Output> => {
    const definition = (await registry.load('output', name)) as OutputDefinition;
    const written = { port: String(sink.port), 'tls.ca_file': tlsFile('ca.pem'), ...own, ...options };
    const output = await createOutput(definition, written, contextIn('/'));
    cleanUps.push(() => output.close?.());
    return output;
  };
  let marks = 0;
  /** Delivers one record and waits until it is there. */
  const deliver = async (output: Output, sink: StreamSink): Promise<void> => {
    const mark = `mark ${marks++}.`;
    expect(await output.deliver([sliceOf('app', [{ record: { log: mark } }])], noAbort())).toEqual({});
    await sink.until((bytes) => bytes.includes(mark));
  };
  const failure = async (output: Output): Promise<string> => {
    const error = await output
      .deliver([sliceOf('app', [{ record: { log: 'x' } }])], noAbort())
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RetryableError);
    return (error as Error).message;
  };
  const CLIENT = {
    'tls.crt_file': tlsFile('client.pem'),
    'tls.key_file': tlsFile('client-encrypted.key'),
    'tls.key_passwd': 'secret',
  };
  const wantsClient: TlsOptions = {
    requestCert: true,
    rejectUnauthorized: true,
    ca: readFileSync(tlsFile('ca.pem')),
  };

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'shows its own certificate where the server wants one, by %s',
    async (version) => {
      const sink = await stream({ ...wantsClient, maxVersion: version });
      await deliver(await open(sink, CLIENT), sink);
      expect(await failure(await open(sink))).toMatch(/^tls:\/\/127\.0\.0\.1:\d+: /);
      expect(sink.bytes.includes('"x"')).toBe(false);
    },
  );

  it('says that the server wants a certificate', async () => {
    const sink = await stream({ ...wantsClient, minVersion: 'TLSv1.3' });
    expect(await failure(await open(sink))).toMatch(/it wants a certificate of this side: set tls\.crt_file/);
  });

  it('keeps to the versions that it may speak', async () => {
    const old = await stream({ maxVersion: 'TLSv1.2' });
    await deliver(await open(old), old);
    await deliver(await open(old, { 'tls.min_version': 'TLSv1.2' }), old);
    expect(await failure(await open(old, { 'tls.min_version': 'TLSv1.3' }))).toMatch(
      /it takes no TLS version of those between tls\.min_version and tls\.max_version/,
    );
    const modern = await stream({ minVersion: 'TLSv1.3' });
    expect(await failure(await open(modern, { 'tls.max_version': 'TLSv1.2' }))).toMatch(/tls\.max_version/);
  });

  it('takes a changed authority without a restart, also for connections that stand', async () => {
    const ca = join(directory, 'ca.pem');
    copyFileSync(tlsFile('other.pem'), ca);
    const sink = await stream();
    const output = await open(sink, { 'tls.ca_file': ca });
    expect(await failure(output)).toMatch(/: its certificate .*: set tls\.ca_file/);
    copyFileSync(tlsFile('ca.pem'), ca);
    await deliver(output, sink);
    await deliver(output, sink);
    expect(sink.connections).toHaveLength(1);
    copyFileSync(tlsFile('other.pem'), ca);
    expect(await failure(output)).toMatch(/: its certificate /);
  });

  it('takes a changed certificate of its own without a restart', async () => {
    const [crt, key] = [join(directory, 'crt.pem'), join(directory, 'crt.key')];
    copyFileSync(tlsFile('expired.pem'), crt);
    copyFileSync(tlsFile('expired.key'), key);
    const sink = await stream(wantsClient);
    const output = await open(sink, { ...CLIENT, 'tls.crt_file': crt, 'tls.key_file': key });
    await failure(output);
    copyFileSync(tlsFile('client.pem'), crt);
    copyFileSync(tlsFile('client-encrypted.key'), key);
    await deliver(output, sink);
  });

  it('keeps what it has while the new files are none', async () => {
    const ca = join(directory, 'ca.pem');
    copyFileSync(tlsFile('ca.pem'), ca);
    const sink = await stream();
    const output = await open(sink, { 'tls.ca_file': ca });
    await deliver(output, sink);
    writeFileSync(ca, 'no certificate');
    expect(await failure(output)).toContain(`Reading tls.ca_file ${ca}: it holds no certificate`);
    copyFileSync(tlsFile('ca.pem'), ca);
    await deliver(output, sink);
  });
});
