/**
 * What the path of a container's log says, as a kubelet lays it out:
 *
 *   /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log   a link to
 *   /var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log
 *
 * Names are those of the API (RFC 1123), with its lengths: any pod can put a file there through the runtime, and what it is called goes
 * into tags and requests. https://kubernetes.io/docs/concepts/cluster-administration/logging/
 */
import { readlinkSync } from 'node:fs';
import type { ContainerNames } from './metadata.ts';

export interface ContainerLog extends ContainerNames {
  container: string;
  containerId: string;
}

const LABEL = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?';
const NAME = '[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?';
const FILE = new RegExp(`^(${NAME})_(${LABEL})_(${LABEL})-([0-9a-f]{64})\\.log$`);
const DIRECTORY = new RegExp(`/(${LABEL})_(${NAME})_([0-9a-f-]{32,36})/(${LABEL})/[^/]+$`);

/** Takes the path of a link in /var/log/containers apart; undefined where its name is not a kubelet's. */
export function parseContainerLog(path: string): ContainerLog | undefined {
  const match = FILE.exec(path.slice(path.lastIndexOf('/') + 1));
  if (match === null) return undefined;
  const [, pod = '', namespace = '', container = '', containerId = ''] = match;
  return { namespace, pod, container, containerId };
}

/** The uid of the pod from where the link leads, if that is the same pod's directory. */
export function podUid(log: ContainerLog, target: string): string | undefined {
  const match = DIRECTORY.exec(target);
  if (match === null) return undefined;
  const [, namespace, pod, uid, container] = match;
  const same = namespace === log.namespace && pod === log.pod && container === log.container;
  return same ? uid : undefined;
}

/** What a link in /var/log/containers is the log of; with the uid, as long as the link is there. */
export function readContainerLog(path: string): ContainerLog | undefined {
  const log = parseContainerLog(path);
  if (log === undefined) return undefined;
  try {
    const uid = podUid(log, readlinkSync(path));
    return uid === undefined ? log : { ...log, uid };
  } catch {
    // It is gone, or no link: the container id tells the pods of one name apart as well.
    return log;
  }
}
