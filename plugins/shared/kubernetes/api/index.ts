/** The Kubernetes API for the plugins: the options of its connection, and the directory of pods. */
export {
  checkKubernetesApi,
  checkPodDirectory,
  kubernetesApiOptions,
  podDirectoryOptions,
} from './options.ts';
export { openPodDirectory } from './open.ts';
export { configHashOf, namespaceOf, podOf } from './pod-of.ts';
export { StringPool } from './string-pool.ts';
