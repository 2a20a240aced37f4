/** How the command line ends: exit codes, and mistakes of the user, which are told in a sentence and never as a stack trace. */

export const EXIT = {
  /** Drained, or all is well. */
  ok: 0,
  /** The configuration is wrong, or names something that cannot be opened. */
  config: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The state directory is held by another agent, or a port by another process. */
  taken: 3,
  /** A second signal cut the stop short. */
  forced: 4,
  /** A defect of the agent itself. */
  defect: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `
Exit codes:
  0  drained, or all is well
  1  the configuration is wrong, or something that it names cannot be opened
  2  the command line is wrong
  3  the state directory is locked by another agent, or a port is taken
  4  the stop was cut short by a second signal
  5  a defect of tailrace itself`;

/** Something that the user can mend: shown as its message alone. */
export class UserError extends Error {
  override name = 'UserError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
