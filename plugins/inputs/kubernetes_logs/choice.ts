/** Which namespaces are read. */
import { wildcard } from '../../shared/kubernetes/policy.ts';
import { parseContainerLog } from '../../shared/kubernetes/log-path.ts';

/** Makes the tag of a path, undefined where it is not read: of another namespace, or not named as the kubelet names logs. */
export function chooseNamespaces(
  {
    namespaces,
    exclude_namespaces: excluded,
  }: { namespaces?: readonly string[] | undefined; exclude_namespaces: readonly string[] },
  tagOf: (path: string) => string | undefined,
): (path: string) => string | undefined {
  const wanted = namespaces?.map(wildcard);
  const unwanted = excluded.map(wildcard);
  return (path) => {
    const log = parseContainerLog(path);
    if (log === undefined) return undefined;
    const matches = (pattern: RegExp): boolean => pattern.test(log.namespace);
    return wanted?.some(matches) === false || unwanted.some(matches) ? undefined : tagOf(path);
  };
}
