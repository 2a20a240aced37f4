/** The filter chain: which filters a tag passes, in what order, and what came of its records there. */
import type { Batch } from '../event/batch.ts';
import type { Source } from '../event/source.ts';
import type { Filter, FlushReason, Held, Released } from '../plugin.ts';
import { RoutingTable } from '../routing/table.ts';
import { mainLoop } from '../telemetry/heartbeat.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics, Series } from '../telemetry/metrics.ts';
import type { InputLedger } from './input-ledger.ts';

/** What follows the filters. */
const ROUTING = mainLoop.stage('the router');

export interface FilterStage {
  name: string;
  filter: Filter;
  matches: (tag: string) => boolean;
  log: Logger;
}

interface Stage extends FilterStage {
  position: number;
  /** Of the main loop, while the filter works. */
  mark: number;
  records: Series;
  dropped: Series;
  added: Series;
  errors: Series;
  held: readonly Held[];
}

export interface FilterChainOptions {
  stages: readonly FilterStage[];
  metrics: Metrics;
  ledgerOf: (input: string) => InputLedger | undefined;
  /** Accounts for bytes that filters hold; negative when they are let go. */
  charge: (bytes: number) => void;
}

export class FilterChain {
  private readonly stages: readonly Stage[];
  private readonly table: RoutingTable<Stage>;
  private readonly options: FilterChainOptions;

  constructor(options: FilterChainOptions) {
    const { metrics } = options;
    this.options = options;
    this.stages = options.stages.map((stage, position) => {
      const counter = (term: string, help: string): Series =>
        metrics.counter(`tailrace_filter_${term}_total`, help).labels({ name: stage.name });
      return {
        ...stage,
        position,
        mark: mainLoop.stage(`filter ${stage.name}`),
        records: counter('records', 'Records that went into the filter.'),
        dropped: counter('dropped_records', 'Records that the filter dropped.'),
        added: counter('added_records', 'Records that the filter made in addition.'),
        errors: counter('errors', 'Batches in which the filter failed; they pass as they are.'),
        held: [],
      };
    });
    this.table = new RoutingTable(this.stages.map((stage) => ({ matches: stage.matches, target: stage })));
  }

  /** True when some filter may hold events. */
  get holds(): boolean {
    return this.stages.some((stage) => stage.filter.flush !== undefined);
  }

  /** Sends a batch through the filters of its tag, in place. Returns a promise only if a filter did. */
  process(tag: string, batch: Batch, behind = -1): Promise<void> | undefined {
    const stages = this.table.lookup(tag);
    for (let index = 0; index < stages.length; index++) {
      const stage = stages[index] as Stage;
      if (stage.position <= behind || batch.length === 0) continue;
      const before = batch.length;
      let pending: void | Promise<void> = undefined;
      mainLoop.enter(stage.mark);
      try {
        pending = stage.filter.process(batch, tag);
      } catch (error) {
        this.fail(stage, error);
      }
      if (pending !== undefined) {
        batch.detach();
        return this.continue(pending, stage, tag, batch, before);
      }
      this.account(stage, batch, before);
    }
    mainLoop.enter(ROUTING);
    return undefined;
  }

  private async continue(
    pending: Promise<void>,
    stage: Stage,
    tag: string,
    batch: Batch,
    before: number,
  ): Promise<void> {
    try {
      await pending;
    } catch (error) {
      this.fail(stage, error);
    }
    this.account(stage, batch, before);
    await this.process(tag, batch, stage.position);
  }

  /** Takes out what filters hold, sends it through the filters behind them, and hands it to `route`. */
  async flush(reason: FlushReason, route: (tag: string, batch: Batch) => void): Promise<void> {
    for (const stage of this.stages) {
      if (stage.filter.flush === undefined) continue;
      let released: readonly Released[] = [];
      mainLoop.enter(stage.mark);
      try {
        released = await stage.filter.flush(reason);
      } catch (error) {
        this.fail(stage, error);
      }
      for (const { tag, batch } of released) {
        await this.process(tag, batch, stage.position);
        route(tag, batch);
      }
      // Only now: until its records are routed, what was held keeps the marks of its sources back.
      this.accountHeld(stage);
    }
    mainLoop.leave();
  }

  /** See {@link Filter.hurry}. */
  hurry(): void {
    for (const { filter } of this.stages) filter.hurry?.();
  }

  async close(): Promise<void> {
    for (const stage of this.stages) {
      try {
        await stage.filter.close?.();
      } catch (error) {
        this.fail(stage, error);
      }
    }
  }

  private fail(stage: Stage, error: unknown): void {
    stage.errors.value++;
    stage.log.error({ error }, 'The filter failed; the batch passes as it is');
  }

  private account(stage: Stage, batch: Batch, before: number): void {
    stage.records.value += before;
    const ledger = this.options.ledgerOf(batch.input);
    if (stage.filter.held === undefined) {
      const gone = before - batch.length;
      if (gone > 0) {
        stage.dropped.value += gone;
        ledger?.drop(`filter:${stage.name}`, gone);
      } else if (gone < 0) {
        stage.added.value -= gone;
        if (ledger !== undefined) ledger.created.value -= gone;
      }
      if (gone !== 0) ledger?.tell();
      return;
    }
    const heldBefore = heldOf(stage.held, batch.input);
    this.accountHeld(stage);
    // What is neither out nor held became part of another record.
    const joined = before - batch.length - (heldOf(stage.held, batch.input) - heldBefore);
    if (ledger === undefined) return;
    ledger.tell();
    if (joined >= 0) ledger.joined.value += joined;
    else ledger.created.value -= joined;
  }

  /** Takes in what a filter holds now: memory, the ledger's gauge, and the marks of the sources. */
  private accountHeld(stage: Stage): void {
    if (stage.filter.held === undefined) return;
    const before = stage.held;
    const now = stage.filter.held();
    stage.held = now;
    this.options.charge(bytesOf(now) - bytesOf(before));
    const sources = new Set<Source>();
    for (const { input, source } of [...before, ...now]) {
      const ledger = this.options.ledgerOf(input);
      if (ledger !== undefined) {
        ledger.hold(this.stages.reduce((sum, other) => sum + heldOf(other.held, input), 0));
      }
      if (source !== undefined) sources.add(source);
    }
    for (const source of sources) {
      let from = Number.POSITIVE_INFINITY;
      for (const other of this.stages) {
        for (const held of other.held) if (held.source === source) from = Math.min(from, held.from ?? 0);
      }
      source.heldFrom = from;
      source.touch();
    }
  }
}

function heldOf(held: readonly Held[], input: string): number {
  return held.reduce((sum, entry) => (entry.input === input ? sum + entry.records : sum), 0);
}

function bytesOf(held: readonly Held[]): number {
  return held.reduce((sum, entry) => sum + entry.bytes, 0);
}
