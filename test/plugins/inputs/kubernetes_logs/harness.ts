/** The input over a kubelet's directory and a stand-in for the API server; what it emits is collected. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import definition from '../../../../plugins/inputs/kubernetes_logs.ts';
import type { LogRecord, Parser } from '../../../../src/plugin.ts';
import type { Family } from '../../../../src/telemetry/metrics.ts';
import { optionsOf } from '../../../contract/support.ts';
import { KubeStandIn } from '../../../support/kube-api.ts';
import type { StandInPod } from '../../../support/kube-api.ts';
import { Kubelet } from '../../../support/kubelet.ts';
import type { ContainerOptions, LoggedContainer } from '../../../support/kubelet.ts';
import { Collector, inputContext } from '../collecting.ts';

/** The node of the stand-in's pods. */
const NODE = 'node-1';

export class Node {
  readonly collector = new Collector();
  readonly drops: Record<string, number> = {};
  readonly api = new KubeStandIn();
  readonly kubelet: Kubelet;
  readonly context;
  private readonly root: string;

  private constructor(parsers: readonly Parser[]) {
    this.root = mkdtempSync(join(tmpdir(), 'tailrace-kubernetes-logs-'));
    this.kubelet = new Kubelet(this.root);
    this.context = {
      ...inputContext(parsers),
      tag: definition.defaultTag as string,
      drop: (reason: string, count: number) => {
        this.drops[reason] = (this.drops[reason] ?? 0) + count;
      },
    };
  }

  static async open(parsers: readonly Parser[] = []): Promise<Node> {
    const node = new Node(parsers);
    await node.api.open();
    onTestFinished(async () => {
      await node.api.close();
      rmSync(node.root, { recursive: true });
    });
    return node;
  }

  /** Starts the input; `written`: options as in a configuration. Resolves with what stops it before the test ends. */
  async start(written: Record<string, string> = {}, tag?: string): Promise<() => Promise<void>> {
    const options = optionsOf(definition.options, {
      path: join(this.root, 'containers', '*.log'),
      allowed_roots: this.root,
      kube_url: this.api.url,
      kube_node_name: NODE,
      ...written,
    });
    const context = tag === undefined ? this.context : { ...this.context, tag };
    const input = await definition.create(options, context);
    await input.start(this.collector.emit);
    let stopped: Promise<void> | undefined;
    const stop = async (): Promise<void> => {
      stopped ??= Promise.resolve(input.stop());
      await stopped;
    };
    onTestFinished(async () => {
      await stop();
      await input.close?.();
    });
    return stop;
  }

  /** A container that runs, known to the API server and with a log. */
  run(options: ContainerOptions, pod: Partial<StandInPod> = {}): LoggedContainer {
    const container = this.kubelet.start(options);
    const { namespace, pod: name, uid, id } = container;
    this.api.putPod({ namespace, name, uid, containers: { [container.container]: id }, ...pod });
    return container;
  }

  get records(): LogRecord[] {
    return this.collector.records as LogRecord[];
  }

  get logs(): unknown[] {
    return this.records.map(({ log }) => log);
  }

  /** Resolves when something holds; looked at now and then. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await pause(10);
  }

  metric(name: string, labels: Record<string, string> = {}): number {
    const family = this.context.metrics.families.get(name) as Family | undefined;
    family?.collect?.();
    return family?.sum(labels) ?? 0;
  }
}
