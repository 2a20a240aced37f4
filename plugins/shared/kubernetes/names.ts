/** The names that a container's log is known by, and whether they can be names at all. */
import type { ContainerNames } from './metadata.ts';

/** Any of them may be missing when an expression of the administrator's own does not capture it. */
export type NamesFound = Partial<ContainerNames>;

/** Names of pods and namespaces in the API (RFC 1123): whatever else a tag holds is never put into a request or a path. */
const POD = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Whether both names could be in the API. */
export function areNames(names: NamesFound): names is ContainerNames {
  const { pod, namespace } = names;
  return pod !== undefined && namespace !== undefined && POD.test(pod) && NAMESPACE.test(namespace);
}

export function isNamespaceName(name: string): boolean {
  return NAMESPACE.test(name);
}
