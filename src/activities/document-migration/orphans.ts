import type { Db, Filter } from 'mongodb';
import { validate as isUuid } from 'uuid';
import type { Cursor } from 'keystride';
import { documentOfFile, fenceOfFile, requireLedger } from 'keystride/mongo';
import type { Resources } from '../../resources.ts';
import type { SentenceExtract } from './document.ts';
import { extractsOf, removeUnnamed } from './store.ts';

/** How the key of what is to be removed says what it is. */
export const orphans = { document: 'document', file: 'file' } as const;

/**
 * Removes documents that no committed job leads to, and files that no document names, where attempts before `fence`
 * have left them. Each is looked at again: somebody may have come to need it since it was found.
 *
 * @param repair its fence: attempts before it commit nothing more; and its ledger: what another one has written looks as if
 * nothing led to it.
 * @throws OtherLedger
 */
export async function removeOrphans(
  resources: Resources,
  keys: readonly Cursor[],
  { fence, ledger }: { readonly fence: number; readonly ledger: string | undefined },
): Promise<void> {
  await requireLedger(extractsOf(resources.mongo), ledger);
  const of = (kind: string) => keys.flatMap(([what, id]) => (what === kind && id !== undefined ? [id] : []));
  await removeDocuments(resources, of(orphans.document), fence);
  await removeFiles(
    resources.mongo,
    of(orphans.file).filter((id) => fenceOfFile(id) < fence),
    fence,
  );
}

async function removeDocuments({ database, mongo }: Resources, ids: readonly string[], fence: number) {
  if (ids.length === 0) return;
  const { rows } = await database.query<{ id: string }>(
    'SELECT job.id FROM preprocess_job AS job WHERE job.id = ANY($1::uuid[])',
    [ids.filter((id) => isUuid(id))],
  );
  const led = new Set(rows.map(({ id }) => id));
  const unled = ids.filter((id) => !led.has(id));
  await extractsOf(mongo).deleteMany(writtenBefore(fence, unled));
}

async function removeFiles(mongo: Db, ids: readonly string[], fence: number) {
  if (ids.length === 0) return;
  // From here on the attempts that wrote them cannot name them any more in a document that is there.
  await extractsOf(mongo).updateMany(writtenBefore(fence, ids.map(documentOfFile)), { $set: { fence } });
  await removeUnnamed(mongo, ids);
}

function writtenBefore(fence: number, ids: readonly string[]): Filter<SentenceExtract> {
  return { _id: { $in: [...ids] }, fence: { $not: { $gte: fence } } };
}
