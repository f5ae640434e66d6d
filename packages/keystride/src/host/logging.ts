import { DefaultLogger, type Logger, type LogLevel } from '@temporalio/worker';
import { type DestinationStream, pino, type Logger as PinoLogger } from 'pino';
import { framesOf, safeMessage } from '../page/item-errors.ts';

const levels: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/**
 * JSON lines on stdout; readable ones on a terminal. Errors, wherever they stand in a record, are told by type, message,
 * code and causes; never by what a row holds.
 */
export function createLogger(level: string, destination?: DestinationStream): PinoLogger {
  const pretty = process.stdout.isTTY && !destination ? { transport: { target: 'pino-pretty' } } : {};
  const options = {
    level,
    ...pretty,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    // pino's own would tell the message as it is, and takes what is made below for an error.
    serializers: { err: (error: unknown) => error },
    formatters: { log: (record: Record<string, unknown>) => told(record) as Record<string, unknown> },
    // The SDK logs it with every line of an activity, and whoever has it can complete the activity.
    redact: { paths: ['taskToken'], remove: true },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** The same log for Temporal's runtime, its workflows and its activities. */
export function temporalLogger(log: PinoLogger): Logger {
  return new DefaultLogger('TRACE', ({ level, message, meta }) =>
    log[levels[level]](meta ?? {}, message.replaceAll(obeyed, ' ')),
  );
}

/** What a terminal would obey, but for ends of lines, which JSON escapes. */
const obeyed = /[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/gu;

/** Causes, and objects within objects, deeper than this are not told. */
const deepest = 8;

/** A value with its errors in words: JSON knows nothing of an Error but what was added to it. */
function told(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.replaceAll(obeyed, ' ');
  if (typeof value !== 'object' || value === null) return value;
  if (depth > deepest) return '…';
  if (value instanceof Error) return toldError(value, depth);
  if (Array.isArray(value)) return value.map((one) => told(one, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, told(inner, depth + 1)]));
}

function toldError(error: Error, depth: number): Record<string, unknown> {
  const { code, type } = error as { readonly code?: unknown; readonly type?: unknown };
  const frames = depth === 0 || depth === 1 ? framesOf(error) : '';
  return {
    type: typeof type === 'string' ? type : error.name,
    message: told(safeMessage(error)),
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...(error.cause !== undefined && { cause: told(error.cause, depth + 1) }),
    ...(error instanceof AggregateError && { errors: error.errors.map((one) => told(one, depth + 1)) }),
    ...(frames !== '' && { stack: frames }),
  };
}
