import { ToldError } from '../contract/told-error.ts';

/** The exit codes of every command. */
export const exitCodes = { done: 0, failed: 1, usage: 2, completedWithSkips: 3, detached: 130 } as const;

/** One of {@link exitCodes}. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** What a person needs to know about a failure: what happened, where (an address without credentials), what to do. */
export interface CommandErrorParts {
  what: string;
  where?: string | undefined;
  todo: string;
}

/** What scripts need to know about a failure. */
interface CommandErrorOptions extends ErrorOptions {
  /** What the process ends with. @default failed */
  exitCode?: ExitCode;
  /** A stable name, such as `JobExecutionAlreadyRunning`. @default CommandError */
  type?: string;
  /** More members for `-o json`, beside `error`. */
  details?: Readonly<Record<string, unknown>>;
}

/** A failure that a command explains to its user; anything else that is thrown is a defect of ours. */
export class CommandError extends ToldError {
  override readonly name = 'CommandError';
  readonly what: string;
  readonly where: string | undefined;
  readonly todo: string;
  readonly exitCode: ExitCode;
  readonly type: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(parts: CommandErrorParts, options: CommandErrorOptions = {}) {
    super(parts.where === undefined ? parts.what : `${parts.what} (${parts.where})`, options);
    this.what = parts.what;
    this.where = parts.where;
    this.todo = parts.todo;
    this.exitCode = options.exitCode ?? exitCodes.failed;
    this.type = options.type ?? 'CommandError';
    this.details = options.details ?? {};
  }
}

/** What `-o json` prints of a problem. */
export function problemJson({ type, what, where, todo, details }: CommandError): Record<string, unknown> {
  return { error: { type, message: what, ...(where !== undefined && { where }), todo }, ...details };
}
