/** Reads what the agent serves at /metrics, as far as benchmarks need it. */

const INPUT_OUT = ['routed', 'joined', 'dropped', 'skipped'];
const OUTPUT_OUT = ['delivered', 'dropped', 'dead_lettered', 'handed_over'];

export class Metrics {
  /** By name of the family and name of the instance; the sum of all other labels. */
  private readonly values = new Map<string, Map<string, number>>();

  constructor(text: string) {
    for (const [, family = '', labels = '', value] of text.matchAll(/^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/gm)) {
      const name = /(?:^|,)name="([^"]*)"/.exec(labels)?.[1] ?? '';
      const instances = this.values.get(family) ?? new Map<string, number>();
      instances.set(name, (instances.get(name) ?? 0) + Number(value));
      this.values.set(family, instances);
    }
  }

  /** The value of one instance, or the sum of all; 0 when there is none. */
  sum(family: string, name?: string): number {
    const instances = this.values.get(family);
    if (instances === undefined) return 0;
    if (name !== undefined) return instances.get(name) ?? 0;
    let sum = 0;
    for (const value of instances.values()) sum += value;
    return sum;
  }

  /** Throws when one of the two equations of the ledger does not hold for an input or output. */
  expectBalance(): void {
    const inputs = this.values.get('tailrace_input_read_records_total')?.keys() ?? [];
    for (const name of inputs) {
      this.expectEqual('input', name, ['read', 'recovered', 'created'], INPUT_OUT, 'held_records');
    }
    const outputs = [...(this.values.get('tailrace_output_enqueued_records_total')?.keys() ?? [])];
    if (outputs.length === 0) throw new Error('The metrics show no output.');
    for (const name of outputs) {
      this.expectEqual('output', name, ['enqueued', 'recovered'], OUTPUT_OUT, 'buffered_records');
    }
  }

  private expectEqual(
    kind: 'input' | 'output',
    name: string,
    into: readonly string[],
    out: readonly string[],
    inside: string,
  ): void {
    const total = (terms: readonly string[]): number =>
      terms.reduce((sum, term) => sum + this.sum(`tailrace_${kind}_${term}_records_total`, name), 0);
    const came = total(into);
    const went = total(out) + this.sum(`tailrace_${kind}_${inside}`, name);
    if (came !== went)
      throw new Error(
        `The ledger of ${kind} ${name} does not balance: ${came} came in, ${went} are accounted for.`,
      );
  }
}
