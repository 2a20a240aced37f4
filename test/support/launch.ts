/** The agent's command line from its sources, whatever an earlier build left in dist/. */
import { main } from '../../src/cli/main.ts';

await main(process.argv.slice(2));
