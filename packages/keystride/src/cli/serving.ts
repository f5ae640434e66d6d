import { InvalidArgumentError } from 'commander';
import { type ListenAddress, parseListenAddress } from '../settings/server-variables.ts';

/** The value of `--listen`. */
export function addressToListenOn(text: string): ListenAddress {
  const address = parseListenAddress(text);
  if (address) return address;
  throw new InvalidArgumentError('An address with a port is wanted, such as 127.0.0.1:9000.');
}

/** Resolves when somebody wants the process to end. */
export function untilAskedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
}
