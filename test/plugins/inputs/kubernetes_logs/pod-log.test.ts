import { onTestFinished, expect, it } from 'vitest';
import type { PodLogParts } from '../../../../plugins/inputs/kubernetes_logs/parts.ts';
import { ContainerPlan } from '../../../../plugins/shared/tail/join/containers.ts';
import { FirstLineFormats } from '../../../../plugins/inputs/kubernetes_logs/first-lines.ts';
import { PodLog } from '../../../../plugins/inputs/kubernetes_logs/pod-log.ts';
import { PodQuotas } from '../../../../plugins/inputs/kubernetes_logs/quotas.ts';
import { Containers } from '../../../../plugins/shared/kubernetes/containers.ts';
import { AnnotationPolicy } from '../../../../plugins/shared/kubernetes/policy.ts';
import type { Answer, Pod, PodDirectory } from '../../../../plugins/shared/kubernetes/pods.ts';
import { WithoutMetadata } from '../../../../plugins/shared/kubernetes/without-metadata.ts';
import { batchOf } from '../../../contract/filter.ts';
import { inputContext } from '../collecting.ts';

const LOG = { namespace: 'shop', pod: 'web', uid: 'u-1', container: 'main', containerId: 'c-1' };
const POD: Pod = {
  namespace: 'shop',
  name: 'web',
  uid: 'u-1',
  labels: { app: 'web' },
  annotations: {},
  ownerReferences: [],
  containers: [],
};

it('what was known of a pod stays when its log says less, after its link has gone', () => {
  let answer: Answer<Pod> = { found: POD };
  const directory: PodDirectory = {
    pod: () => answer,
    awaitPod: async () => answer,
    namespace: () => 'absent',
    awaitNamespace: async () => 'absent',
    retain: () => ({ release() {} }),
    async close() {},
  };
  const context = inputContext();
  const options = {
    'k8s-logging.parser': false,
    'k8s-logging.exclude': false,
    'k8s-logging.namespaces': undefined,
    'k8s-logging.parsers': undefined,
  };
  const containers = new Containers({
    directory,
    policy: new AnnotationPolicy(options, context, []),
    read: () => LOG,
    pods: { labels: true, annotations: true, ownerReferences: false },
    namespaces: undefined,
    waitMs: 10,
  });
  const parts: PodLogParts = {
    containers,
    directory,
    context,
    firstLines: new FirstLineFormats(new ContainerPlan(['cri'], 1000, () => {})),
    merger: undefined,
    without: new WithoutMetadata(context),
    quotas: new PodQuotas(undefined),
    emit: () => undefined,
    count: () => undefined,
  };
  const log = new PodLog('/var/log/containers/web.log', LOG, parts);
  onTestFinished(() => log.close());
  answer = 'absent';
  const batch = batchOf([{ log: 'late' }]);
  log.process(batch);
  expect(batch.record(0)).toMatchObject({ kubernetes: { labels: { app: 'web' } } });
  expect(batch.metadata).toBeUndefined();
});
