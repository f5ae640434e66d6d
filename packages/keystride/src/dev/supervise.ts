import { z } from 'zod';
import { startControl, type Control } from './control.ts';
import type { PartName } from './part.ts';
import { startStack, type Stack, type StackOptions } from './stack.ts';

/** A stack that listens to other processes and to signals. */
export interface Supervised {
  stack: Stack;
  /** Resolves when the stack has been ended by a signal. */
  ended: Promise<void>;
}

/** What a supervisor of its own is told on its command line. */
export const supervisorOptionsSchema = z.object({
  home: z.string(),
  cache: z.string(),
  workers: z.int().nonnegative(),
  /** The configuration of the project whose workers run, if there is one. */
  project: z.string().optional(),
  stubArguments: z.record(z.string(), z.array(z.string())),
});

/** See {@link supervisorOptionsSchema}. */
export type SupervisorOptions = z.infer<typeof supervisorOptionsSchema>;

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts a stack and keeps it until SIGINT, SIGTERM or SIGHUP; a second signal leaves the rest to the watchdog.
 * @throws PartError, ConfigError as `startStack`
 */
export async function supervise(options: StackOptions): Promise<Supervised> {
  // While parts come up there is nothing to end in order: the watchdog ends what was started.
  const giveUp = (): never => process.exit(130);
  for (const signal of endingSignals) process.once(signal, giveUp);
  const stack: Stack<PartName> = await startStack({ ...options, console: true });
  const control = await startControl(stack);
  for (const signal of endingSignals) process.off(signal, giveUp);
  return { stack, ended: untilSignal(stack, control) };
}

function untilSignal(stack: Stack, control: Control): Promise<void> {
  return new Promise((resolve, reject) => {
    let ending = false;
    const end = (): void => {
      if (ending) process.exit(130);
      ending = true;
      control.close();
      stack.stop().then(resolve, reject);
    };
    for (const signal of endingSignals) process.on(signal, end);
  });
}
