/** Directories that plugin instances share: one per agent and settings, so that a node has one connection to the API server. */
import type { OptionValues, PluginContext } from '../../../../src/plugin.ts';
import type { PodDirectory } from '../pods.ts';
import { KubeClient } from './client.ts';
import { ApiPodDirectory } from './directory.ts';
import { directorySettings } from './options.ts';
import type { podDirectoryOptions } from './options.ts';
import type { DirectorySettings } from './settings.ts';
import { ApiTelemetry } from './telemetry.ts';

interface Shared {
  directory: Promise<ApiPodDirectory>;
  users: number;
}

/** By the metrics of an agent: several may be in one process, in tests. */
const agents = new WeakMap<PluginContext['metrics'], Map<string, Shared>>();

/**
 * The directory with these options; it begins to list and watch at once, and is closed with the last of its users. Never fails for a
 * server that is not there; throws for certificates that cannot be used.
 */
export async function openPodDirectory(
  options: OptionValues<typeof podDirectoryOptions>,
  context: Pick<PluginContext, 'metrics' | 'log' | 'agentVersion'>,
): Promise<PodDirectory> {
  const settings = directorySettings(options, context.agentVersion);
  const directories = agents.get(context.metrics) ?? new Map<string, Shared>();
  agents.set(context.metrics, directories);
  const key = JSON.stringify(settings);
  const shared = directories.get(key) ?? { directory: create(settings, context), users: 0 };
  directories.set(key, shared);
  shared.users++;
  const leave = async (): Promise<void> => {
    if (--shared.users > 0) return;
    if (directories.get(key) === shared) directories.delete(key);
    const directory = await shared.directory.catch(() => undefined);
    await directory?.close();
  };
  try {
    return userOf(await shared.directory, leave);
  } catch (error) {
    await leave();
    throw error;
  }
}

/** The directory in the hands of one of several: its close is not that of the others. */
function userOf(directory: ApiPodDirectory, leave: () => Promise<void>): PodDirectory {
  let closed: Promise<void> | undefined;
  return {
    pod: (query) => directory.pod(query),
    awaitPod: (query, waitMs) => directory.awaitPod(query, waitMs),
    namespace: (name) => directory.namespace(name),
    awaitNamespace: (name, waitMs) => directory.awaitNamespace(name, waitMs),
    retain: (query) => directory.retain(query),
    hurry: () => directory.hurry(),
    close: () => (closed ??= leave()),
  };
}

async function create(
  settings: DirectorySettings,
  { metrics, log }: Pick<PluginContext, 'metrics' | 'log'>,
): Promise<ApiPodDirectory> {
  const { api, kubelet } = settings;
  const server = kubelet ?? api;
  const isWatched = kubelet === undefined && settings.nodeName !== undefined;
  const main = isWatched
    ? 'watching pods'
    : kubelet === undefined
      ? 'asking for a pod'
      : 'asking the kubelet';
  const telemetry = new ApiTelemetry({
    metrics,
    log,
    server: `${server.host}:${server.port}`,
    main,
    name: 'pods',
    sentence: 'Kubernetes does not say what is asked; records go on without it, and it is tried again',
  });
  const received = (bytes: number): void => telemetry.received(bytes);
  const client = await KubeClient.create(api, received);
  const kubeletClient = kubelet === undefined ? undefined : await KubeClient.create(kubelet, received);
  return new ApiPodDirectory({ client, kubelet: kubeletClient }, settings, telemetry);
}
