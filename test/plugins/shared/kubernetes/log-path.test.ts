import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseContainerLog, readContainerLog } from '../../../../plugins/shared/kubernetes/log-path.ts';
import { Kubelet } from '../../../support/kubelet.ts';

const ID = '0123456789abcdef'.repeat(4);

describe('the path of a container log', () => {
  it('names pod, namespace, container and id', () => {
    expect(parseContainerLog(`/var/log/containers/web-7d9.x_shop_nginx-proxy-${ID}.log`)).toEqual({
      namespace: 'shop',
      pod: 'web-7d9.x',
      container: 'nginx-proxy',
      containerId: ID,
    });
  });

  it.each([
    ['no container id', 'web_shop_nginx.log'],
    ['a short id', `web_shop_nginx-${ID.slice(1)}.log`],
    ['upper case', `Web_shop_nginx-${ID}.log`],
    ['a path in a name', `web_..%2f_nginx-${ID}.log`],
    ['a namespace that is too long', `web_${'n'.repeat(64)}_nginx-${ID}.log`],
    ['a pod that is too long', `${'p'.repeat(254)}_shop_nginx-${ID}.log`],
    ['control characters', `web_sh\nop_nginx-${ID}.log`],
  ])('is refused with %s', (_what, name) => {
    expect(parseContainerLog(`/var/log/containers/${name}`)).toBeUndefined();
  });

  it('takes the uid from where the link leads, and does without it', () => {
    const root = mkdtempSync(join(tmpdir(), 'tailrace-kubelet-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    const web = new Kubelet(root).start({ namespace: 'shop', pod: 'web' });
    expect(readContainerLog(web.link)).toEqual({
      namespace: 'shop',
      pod: 'web',
      container: 'main',
      containerId: web.id,
      uid: web.uid,
    });
    web.remove();
    expect(readContainerLog(web.link)).not.toHaveProperty('uid');
  });

  it('does not believe a link into the directory of another pod', () => {
    const root = mkdtempSync(join(tmpdir(), 'tailrace-kubelet-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    const kubelet = new Kubelet(root);
    const other = kubelet.start({ namespace: 'bank', pod: 'vault' });
    const forged = kubelet.start({ namespace: 'shop', pod: 'web' });
    rmSync(forged.link);
    symlinkSync(other.file, forged.link);
    expect(readContainerLog(forged.link)).not.toHaveProperty('uid');
  });
});
