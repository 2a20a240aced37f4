/** Switches V8's linear regular expression engine on as the fallback of the ordinary one. */
import { setFlagsFromString } from 'node:v8';

/**
 * From now on V8 gives up backtracking after 50,000 steps back and runs the match in linear time, for expressions that the linear
 * engine knows: no pattern can hang the agent then. Must be called before the first regular expression is compiled that shall
 * profit, so first thing in the process. Ordinary matches cost the same.
 */
export function enableLinearFallback(): void {
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
}
