/** Pods that come, write, are rotated and go, known or not, under an agent that is stopped and killed at will: no line is lost. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import definition from '../../../../plugins/inputs/kubernetes_logs.ts';
import { KubeStandIn } from '../../../support/kube-api.ts';
import { Kubelet } from '../../../support/kubelet.ts';
import type { LoggedContainer } from '../../../support/kubelet.ts';
import { tail, workspace } from '../tail/harness.ts';
import type { Tail, TailEvent } from '../tail/harness.ts';
import { amount } from '../tail/histories.ts';

const AMOUNT = amount(5);

interface Step {
  what: 'write' | 'part' | 'rotate' | 'know' | 'remove' | 'stop' | 'kill' | 'settle';
  /** Which pod. */
  pod: number;
  lines: number;
}

const history = fc.array(
  fc.record<Step>({
    what: fc.constantFrom(
      'write',
      'write',
      'write',
      'part',
      'rotate',
      'know',
      'remove',
      'stop',
      'kill',
      'settle',
    ),
    pod: fc.nat({ max: 4 }),
    lines: fc.integer({ min: 1, max: 30 }),
  }),
  { minLength: 5, maxLength: 40 },
);

/** Some pods, of which each that is removed is replaced by one of the same name. */
class World {
  readonly root = workspace();
  readonly api = new KubeStandIn();
  readonly kubelet = new Kubelet(this.root);
  readonly pods = new Map<number, LoggedContainer>();
  /** By text: the uid of the pod. */
  readonly written = new Map<string, string>();
  readonly delivered: TailEvent[] = [];
  /** Removed in this run of the agent. */
  readonly removed: LoggedContainer[] = [];
  lost = 0;
  run!: Tail;

  async open(): Promise<void> {
    this.api.refuse.set('get', 403);
    await this.api.open();
    onTestFinished(() => this.api.close());
    await this.start();
  }

  async start(): Promise<void> {
    this.run = await tail(
      {
        path: join(this.root, 'containers', '*.log'),
        allowed_roots: this.root,
        kube_url: this.api.url,
        kube_node_name: 'node-1',
        kube_meta_wait: '600s',
        multiline_flush: '0.2',
        rotate_wait: '0.05',
      },
      { definition, state: join(this.root, 'state'), keepBack: true },
    );
  }

  async pod(number: number): Promise<LoggedContainer> {
    const there = this.pods.get(number);
    if (there !== undefined) return there;
    const pod = this.kubelet.start({ namespace: 'shop', pod: `pod-${number}` });
    this.pods.set(number, pod);
    await this.isFollowed(pod);
    return pod;
  }

  /** What nobody has seen yet is not to be had when it goes. */
  async isFollowed(pod: LoggedContainer): Promise<void> {
    await this.run.until(() => this.run.knows(pod.file));
  }

  know({ namespace, pod: name, uid, container, id }: LoggedContainer): void {
    this.api.putPod({ namespace, name, uid, containers: { [container]: id } });
  }

  write(pod: LoggedContainer, flag: 'P' | 'F', lines: number): void {
    let content = '';
    for (let line = 0; line < lines; line++) {
      const text = `<${this.written.size}>`;
      this.written.set(text, pod.uid);
      content += `2026-11-27T10:00:00.5Z stdout ${flag} ${text}\n`;
    }
    appendFileSync(pod.file, content);
  }

  get missing(): string[] {
    const there = new Set(
      [...this.delivered, ...this.run.sink.delivered].flatMap(({ record }) => textsOf(record['log'])),
    );
    return [...this.written.keys()].filter((text) => !there.has(text));
  }

  /** Of removed pods that nobody knows only an open file is left: before the agent ends they are known, and read. */
  async end(how: 'stop' | 'kill'): Promise<void> {
    for (const pod of this.pods.values()) this.know(pod);
    for (const pod of this.removed.splice(0)) this.know(pod);
    await this.settled();
    this.run.writeMarks();
    this.lost += this.run.metric('lost_bytes_total');
    await this.run[how]();
    this.delivered.push(...this.run.sink.delivered);
    await this.start();
  }

  private async settled(): Promise<void> {
    await this.run.until(() => {
      this.run.sink.settle();
      return this.missing.length === 0;
    });
  }
}

function textsOf(log: unknown): string[] {
  return String(log).match(/<\d+>/g) ?? [];
}

it(
  'every line of every pod is delivered, with the pod that wrote it, and none is counted as lost',
  async () => {
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        const world = new World();
        await world.open();
        for (const { what, pod: number, lines } of steps) {
          if (what === 'stop' || what === 'kill') {
            await world.end(what);
            continue;
          }
          if (what === 'settle') {
            world.run.sink.settleRecords((index) => index % 3 < lines % 3);
            continue;
          }
          const pod = await world.pod(number);
          if (what === 'write') world.write(pod, 'F', lines);
          else if (what === 'part') world.write(pod, 'P', 1);
          else if (what === 'know') world.know(pod);
          else if (what === 'rotate') {
            pod.rotate();
            await world.isFollowed(pod);
          } else {
            pod.remove();
            world.pods.delete(number);
            world.removed.push(pod);
          }
        }
        await world.end('kill');
        expect(world.lost).toBe(0);
        for (const { record } of world.delivered) {
          const { pod_id: uid } = record['kubernetes'] as { pod_id: string };
          for (const text of textsOf(record['log'])) expect(world.written.get(text)).toBe(uid);
        }
        await world.run.stop();
      }),
      AMOUNT,
    );
  },
  60_000 + AMOUNT.numRuns * 5000,
);
