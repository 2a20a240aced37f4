import { expect, it } from 'vitest';
import { ApiTelemetry } from '../../../../plugins/shared/kubernetes/api/telemetry.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { recordingLog } from '../../../delivery/harness.ts';

it('a connection that is closed says nothing of the one that took its place', () => {
  const metrics = new Metrics();
  const open = (): ApiTelemetry =>
    new ApiTelemetry({
      metrics,
      log: recordingLog(),
      server: 'api:443',
      name: 'pods',
      main: 'watching pods',
      sentence: 'It failed',
    });
  const sums = (): number[] =>
    ['tailrace_kubernetes_connected', 'tailrace_kubernetes_pods'].map((name) =>
      metrics.gauge(name, '').sum(),
    );
  const before = open();
  before.succeeded('watching pods');
  before.pods(3, 0);
  const after = open();
  after.succeeded('watching pods');
  after.pods(2, 1);
  before.pods(0, 0);
  before.close();
  expect(sums()).toEqual([1, 3]);
  after.pods(0, 0);
  after.close();
  expect(sums()).toEqual([0, 0]);
});
