import pc from 'picocolors';
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

/** Writes one JSON value as one line on stdout: the last line of every command that was given `-o json`. */
export function printJson(value: unknown): void {
  process.stdout.write(`${jsonText(value)}\n`);
}

/** A value as JSON whose every character may be shown: what a terminal would obey is written as an escape. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, unit) => {
      const code = character.charCodeAt(unit).toString(16);
      return `\\u${code.padStart(4, '0')}`;
    }).join(''),
  );
}

/** The colours of ours, as they reach the terminal. */
const colour = new RegExp(String.raw`(\u001b\[\d{1,2}m)`, 'u');

/** A text for the terminal: of all that a terminal obeys, ends of lines and colours of ours are left. */
export function harmless(text: string, colours = pc.isColorSupported): string {
  return text
    .split(colour)
    .map((part, index) => {
      if (index % 2 === 1) return colours ? part : '';
      return part.toWellFormed().replaceAll(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
    })
    .join('');
}

/** Writes one line of a result to stdout. */
export function printLine(text = ''): void {
  process.stdout.write(`${harmless(text)}\n`);
}

/** Writes one line of progress to stderr, where it disturbs no JSON. */
export function progressLine(text: string): void {
  process.stderr.write(`${harmless(text)}\n`);
}

/** Explains a problem on stderr: what, where, what to do. */
export function printProblem({ what, where, todo }: CommandErrorParts): void {
  progressLine(pc.red(what));
  if (where !== undefined) progressLine(`  where: ${where}`);
  progressLine(`  to do: ${todo.replaceAll('\n', '\n         ')}`);
}

/** What `-o json` prints of a problem. */
export function problemJson({ type, what, where, todo, details }: CommandError): Record<string, unknown> {
  return { error: { type, message: what, ...(where !== undefined && { where }), todo }, ...details };
}
