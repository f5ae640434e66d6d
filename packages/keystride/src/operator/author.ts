import { userInfo } from 'node:os';
import type { Authorship } from '../contract/audit.ts';

/** Whoever calls the command, as he says or as this machine knows him, and why. */
export function commandAuthor({
  reason,
  operator,
}: {
  readonly reason?: string | undefined;
  readonly operator?: string | undefined;
} = {}): Authorship {
  return { by: { operator: operator || userInfo().username, from: 'command' }, ...(reason && { reason }) };
}
