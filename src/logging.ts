import { DefaultLogger, type Logger, type LogLevel } from '@temporalio/worker';
import { pino, type Logger as PinoLogger } from 'pino';

const levels: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** JSON lines on stdout; readable ones on a terminal. */
export function createLogger(level: string): PinoLogger {
  const pretty = process.stdout.isTTY ? { transport: { target: 'pino-pretty' } } : {};
  return pino({
    level,
    ...pretty,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    // The SDK logs it with every line of an activity, and whoever has it can complete the activity.
    redact: { paths: ['taskToken'], remove: true },
  });
}

/** The same log for Temporal's runtime, its workflows and its activities. */
export function temporalLogger(log: PinoLogger): Logger {
  return new DefaultLogger('TRACE', ({ level, message, meta }) => log[levels[level]](meta ?? {}, message));
}
