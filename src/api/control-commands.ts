/** What a running agent can be asked through its control socket. */
import type { Agent } from '../pipeline/agent.ts';
import { CommandError } from './control-server.ts';
import type { Command } from './control-server.ts';

/** The commands of an agent. */
export function controlCommands(agent: Agent): Readonly<Record<string, Command>> {
  let replaying = false;
  return {
    status: async () => agent.status(),
    'dlq.replay': async (request, control) => {
      if (replaying)
        throw new CommandError('The agent is replaying dead letters already: wait for that to end.');
      replaying = true;
      const { ExpressionError, replay, ReplayError } = await import('../pipeline/replay.ts');
      try {
        return await replay(
          agent,
          { output: text(request, 'output'), to: text(request, 'to'), where: text(request, 'where') },
          control,
        );
      } catch (error) {
        if (error instanceof ReplayError || error instanceof ExpressionError) {
          throw new CommandError(error.message, { cause: error });
        }
        throw error;
      } finally {
        replaying = false;
      }
    },
  };
}

function text(request: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = request[key];
  if (value === undefined || typeof value === 'string') return value;
  throw new CommandError(`${key} must be a text.`);
}
