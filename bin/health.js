#!/usr/bin/env node
/**
 * Whether the agent of this container answers on /health: exit code 0 or 1, as HEALTHCHECK wants it. An image needs no curl for that.
 * The address is the default of the HTTP server, or TAILRACE_HEALTH_URL.
 */
import { get } from 'node:http';

/** Milliseconds: below the HEALTHCHECK's own, so that the reason is told. */
const PATIENCE_MS = 4000;

const url = process.env.TAILRACE_HEALTH_URL || 'http://127.0.0.1:2020/health';

function fail(reason) {
  process.stderr.write(url + ': ' + reason + '\n');
  process.exit(1);
}

const request = get(url, { timeout: PATIENCE_MS }, (response) => {
  response.resume();
  if (response.statusCode === 200) process.exit(0);
  fail('answered ' + response.statusCode);
});
request.on('timeout', () => fail('no answer within ' + PATIENCE_MS + ' ms'));
request.on('error', (error) => fail(error.message));
