import type { WalMark } from '../contract/step-activities.ts';
import { bytesWritten, timeLine } from '../stores/postgres/horizon.ts';
import type { Ledger } from './ledger.ts';

const present = `
  SELECT concat_ws('/', system_identifier, ${timeLine}) AS line, ${bytesWritten} AS written
    FROM pg_control_system(), pg_control_checkpoint()`;

/** How far the ledger's database has been written. */
export async function walMark(ledger: Ledger): Promise<WalMark> {
  const [mark] = await ledger.transaction(
    async (transaction) => (await transaction.query<WalMark>(present)).rows,
  );
  return mark ?? { line: '', written: '0' };
}

/** Whether all that was there at a mark still is: no standby has taken the place of its server, no backup that of its data. */
export function isKept(before: WalMark, now: WalMark): boolean {
  return before.line === now.line && BigInt(before.written) <= BigInt(now.written);
}
