/** From the options of the input to the running thing. */
import type { InputContext, OptionValues } from '../../../src/plugin.ts';
import { KubeClient, objectPath } from '../../shared/kubernetes/api/client.ts';
import { apiSettings } from '../../shared/kubernetes/api/options.ts';
import type { kubernetesApiOptions } from '../../shared/kubernetes/api/options.ts';
import { ApiTelemetry } from '../../shared/kubernetes/api/telemetry.ts';
import { EventsInput } from './input.ts';
import { Position } from './position.ts';

type Values = OptionValues<typeof kubernetesApiOptions> & {
  kube_namespace?: string | undefined;
  kube_retention_time: number;
  kube_request_limit: number;
  kube_watch_timeout: number;
  interval_sec: number;
  interval_nsec: number;
};

/** Throws for certificates that cannot be used; a server that is not there is waited for. */
export async function openEvents(options: Values, context: InputContext): Promise<EventsInput> {
  const { metrics, log, name } = context;
  const settings = apiSettings(options, context.agentVersion);
  const telemetry = new ApiTelemetry({
    metrics,
    log,
    server: `${settings.host}:${settings.port}`,
    main: 'reading events',
    name,
    sentence:
      'Events of Kubernetes cannot be read now; it is tried again, and none is lost that the API server still has',
  });
  const client = await KubeClient.create(settings, (bytes) => telemetry.received(bytes));
  const namespace = options.kube_namespace;
  const path = namespace === undefined ? '/api/v1/events' : objectPath('namespaces', namespace, 'events');
  return new EventsInput(
    {
      client,
      telemetry,
      position: new Position(context.store, client.origin + path, log),
      path,
      limit: options.kube_request_limit,
      retentionMs: options.kube_retention_time * 1000,
      intervalMs: options.interval_sec * 1000 + options.interval_nsec / 1e6,
      watchSeconds: Math.round(options.kube_watch_timeout),
    },
    context,
  );
}
