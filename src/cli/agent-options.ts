/** The options of `status` and `dlq`: commands that are about an agent. */
import type { Command } from 'commander';
import { EXIT, UserError } from './exit.ts';

/** Which agent is meant. */
export interface AgentChoice {
  config?: string;
  statePath?: string;
}

/** The options of commands that are about an agent. */
const AGENT_OPTIONS = {
  config: ['-c, --config <file>', 'configuration file of the agent'],
  statePath: ['--state-path <dir>', 'its state path, if that is not in the configuration'],
} as const;

export interface StatusOptions extends AgentChoice {
  json?: boolean;
}

export interface ListOptions extends AgentChoice {
  json?: boolean;
}

export interface ShowOptions extends AgentChoice {
  json?: boolean;
  where?: string;
  limit?: number;
}

export interface ReplayOptions extends AgentChoice {
  json?: boolean;
  to?: string;
  where?: string;
}

export interface DlqActions {
  ls: (options: ListOptions) => Promise<void>;
  show: (output: string | undefined, options: ShowOptions) => Promise<void>;
  replay: (output: string | undefined, options: ReplayOptions) => Promise<void>;
}

const WHERE_HELP = `
Conditions are those of tailrace tail, on the record. What the dead letter says about it is under dead_letter:
  dead_letter.status == 400 and dead_letter.reason =~ /mapping/
  dead_letter.tag =~ "^app" or level == "error"
The fields are tag, output, status, reason, attempts, time.`;

function about(command: Command): Command {
  for (const [flags, help] of Object.values(AGENT_OPTIONS)) command.option(flags, help);
  return command;
}

export function defineStatus(command: Command, action: (options: StatusOptions) => Promise<void>): void {
  about(command)
    .description(
      'Shows how a running agent does: inputs, outputs, backlog, retries, and that its ledger balances.',
    )
    .option('--json', 'print it as JSON')
    .addHelpText('after', '\nExamples:\n  tailrace status\n  tailrace status -c pipeline.yaml --json\n')
    .addHelpText('after', 'Exits with 0 when the agent is ready, 1 when it is not, 3 when none runs.')
    .action(action);
}

export function defineDlq(command: Command, actions: DlqActions): void {
  command.description('Dead letters: records that a destination refused for good.');
  about(command.command('ls'))
    .description('Lists the outputs that have dead letters, with the most frequent reasons.')
    .option('--json', 'print it as JSON')
    .addHelpText('after', '\nExample:\n  tailrace dlq ls -c pipeline.yaml')
    .action(actions.ls);
  about(command.command('show'))
    .description('Prints dead letters, the oldest first.')
    .argument('[output]', 'only those of this output')
    .option('--where <condition>', 'only those for which it holds')
    .option('-n, --limit <number>', 'at most that many', readLimit)
    .option('--json', 'print them as they are stored: NDJSON')
    .addHelpText(
      'after',
      `\nExample:\n  tailrace dlq show es -n 10 --where 'dead_letter.status == 400'\n${WHERE_HELP}`,
    )
    .action(actions.show);
  about(command.command('replay'))
    .description('Sends dead letters again: by the agent if it runs, else by itself.')
    .argument('[output]', 'only those of this output')
    .option('--to <output>', 'send them to this output instead of the one that they were meant for')
    .option('--where <condition>', 'only those for which it holds')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `\nExample:\n  tailrace dlq replay es --to archive --where 'dead_letter.status == 400'\n${WHERE_HELP}\n`,
    )
    .addHelpText(
      'after',
      'What is refused once more becomes a dead letter again. Cut short, letters are sent twice, never lost.\nExits with 0 when every letter that was meant is settled and none was refused again, else with 1.',
    )
    .action(actions.replay);
}

function readLimit(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new UserError(`--limit: "${text}" is no number; write one from 1 on.`, EXIT.usage);
}
