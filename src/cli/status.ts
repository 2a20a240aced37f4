/** `tailrace status`: asks the running agent how it does. */
import { askAgent, NoAgentError } from '../api/control-client.ts';
import type { AgentStatus } from '../pipeline/status.ts';
import { agentDirectory } from './agent-folder.ts';
import type { StatusOptions } from './agent-options.ts';
import { useColor } from './color.ts';
import { EXIT, UserError } from './exit.ts';
import type { ExitCode } from './exit.ts';
import { formatStatus } from './status/format.ts';

/** Prints the status; 0 when the agent is ready, 1 when it is not. Throws UserError with 3 when there is none. */
export async function status(options: StatusOptions): Promise<ExitCode> {
  const directory = await agentDirectory(options);
  const answer = await ask(directory);
  const text = options.json
    ? `${JSON.stringify(answer, undefined, 2)}\n`
    : formatStatus(answer, { color: useColor(process.stdout) });
  process.stdout.write(text);
  return answer.ready ? EXIT.ok : EXIT.config;
}

async function ask(directory: string): Promise<AgentStatus> {
  try {
    return (await askAgent(directory, { command: 'status' })) as AgentStatus;
  } catch (error) {
    // One that does not answer is there, and is not ready.
    const code = error instanceof NoAgentError ? EXIT.taken : EXIT.config;
    throw new UserError(error instanceof Error ? error.message : String(error), code, { cause: error });
  }
}
