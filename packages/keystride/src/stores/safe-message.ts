import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { cutText, failureTypes, ToldError } from '../contract/errors.ts';
import { causesOf } from './causes.ts';
import { httpMessage } from './http/errors.ts';
import { mongoMessage } from './mongo/message.ts';
import { postgresMessage } from './postgres/message.ts';
import { systemMessage } from './system-errors.ts';
import { type Subject, withoutContent } from './content.ts';

/** The most of a name or a code that is shown. */
const longestName = 100;

/**
 * An error in words that may be shown and kept, its causes included: never a row's content. What is let through is
 * listed: what we say ourselves, what a job's code says in words of its own, and of databases, drivers and the runtime
 * their codes and names. Of everything else only the class is told.
 *
 * @param subject what it is about: its content is taken out of what a job's code says.
 */
export function safeMessage(error: unknown, subject?: Subject): string {
  const told: string[] = [];
  const withheld: string[] = [];
  for (const at of causesOf(error)) {
    const message = toldMessage(at, subject);
    if (message === undefined) withheld.push(withheldMessage(at));
    else if (!told.some((other) => other.includes(message))) told.push(message);
    // It tells of its causes itself, as far as they may be told.
    if (at instanceof ToldError) break;
  }
  return cutText((told.length > 0 ? told : withheld.slice(0, 1)).join(': ').toWellFormed());
}

/** What of an error's message may be shown; undefined for nothing. */
function toldMessage(error: unknown, subject?: Subject): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // Node gives it the code of the addresses that it has tried, and each of these says more.
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors
      .slice(0, 5)
      .map((one: unknown) => safeMessage(one, subject))
      .join('; ');
  if (!isOurs(error)) {
    const known = postgresMessage(error) ?? mongoMessage(error) ?? httpMessage(error) ?? systemMessage(error);
    if (known !== undefined) return known;
  }
  const ours = isOurs(error);
  if (!ours && !isOfTheJob(error)) return undefined;
  const message = ours || !subject ? error.message : withoutContent(error.message, subject);
  const name = nameOf(error);
  return untold.includes(name) || error instanceof TemporalFailure ? message : `${name}: ${message}`;
}

/** Classes whose names say nothing to who reads the message. */
const untold: readonly string[] = ['Error', 'ToldError', 'SkipItem'];

function withheldMessage(error: unknown): string {
  if (!(error instanceof Error)) return 'something that is not an Error was thrown';
  const { code } = error as { readonly code?: unknown };
  const coded = typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,60}$/u.test(code) ? ` ${code}` : '';
  if (error instanceof SyntaxError) return 'malformed text (SyntaxError)';
  return `${nameOf(error)}${coded} (its message is not shown, for it may quote data)`;
}

/** The name of an error's class; what is no name is not told, for a library may have put anything there. */
export function nameOf(error: Error): string {
  return typeof error.name === 'string' && /^[\w$. -]+$/u.test(error.name)
    ? error.name.slice(0, longestName)
    : 'Error';
}

function isOurs(error: Error): boolean {
  if (error instanceof ApplicationFailure) return failureTypes.some((type) => type === error.type);
  return error instanceof ToldError || error instanceof TemporalFailure;
}

/** The runtime quotes in them what it could not take. */
const ofTheRuntime: readonly { readonly name: string }[] = [
  AggregateError,
  DOMException,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
];

/**
 * Whether the code of a job has made an error and written its message: an `Error` or a class of its own, made by code
 * that is neither a library's nor the runtime's. Who writes a message knows what he puts there.
 */
function isOfTheJob(error: Error): boolean {
  if (ofTheRuntime.some((made) => made === error.constructor) || 'syscall' in error) return false;
  // Made of another error, whose message it has.
  if (error instanceof ApplicationFailure && ofTheRuntime.some(({ name }) => name === error.type))
    return false;
  const made = framesIn(error).find(
    (frame) => !/[\\/]node_modules[\\/]@temporalio[\\/]common[\\/]/u.test(frame),
  );
  return made !== undefined && !/[\\/]node_modules[\\/]|\(?node:|\(native\)|<anonymous>/u.test(made);
}

/** The lines of a stack below the message, which may hold lines of any kind. Where the message is not in it: none. */
function framesIn({ stack = '', message }: Error): string[] {
  const at = stack.indexOf(message);
  if (at < 0) return [];
  return stack
    .slice(at + message.length)
    .split('\n')
    .slice(1)
    .filter((line) => /^ {4}at \S/u.test(line));
}

/** Where in the code an error was raised, its causes included: the frames alone, without the messages above them. */
export function framesOf(error: unknown): string {
  return causesOf(error)
    .flatMap((at) => (at instanceof Error ? framesIn(at) : []))
    .slice(0, 60)
    .join('\n');
}
