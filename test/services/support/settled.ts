import type { AgentProcess } from '../../support/agent.ts';

/** Resolves when that many records are in the hands of the outputs, those that a start found on disk included, and all of them are settled. */
export async function settled(agent: AgentProcess, total: number): Promise<void> {
  await agent.until(
    (scrape) =>
      scrape.sum('tailrace_output_enqueued_records_total') +
        scrape.sum('tailrace_output_recovered_records_total') >=
      total,
  );
  await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
}
