/** Run by the tests as a process of its own: holds the state of a directory, with a mark that is written but not synced. */
import { openState } from '../../src/state/store.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { recordingLog } from '../delivery/harness.ts';
import { identity, OUTPUTS, send } from './harness.ts';

const state = openState({
  directory: process.argv[2] as string,
  outputs: OUTPUTS,
  log: recordingLog(),
  metrics: new Metrics(),
});
const [source] = state.forInput('tail').add([{ identity: identity('/a'), start: 0 }]);
if (source !== undefined) send(source, 'fast', 0, 30)();
state.writeMarks();
process.stdout.write('ready\n');
setInterval(() => undefined, 1000);
