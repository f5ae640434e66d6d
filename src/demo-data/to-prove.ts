import type { FillRequest } from 'keystride/config';
import { fillDatabase } from './database.ts';
import { createDemoDocuments } from './documents.ts';

/** Makes documents in the source database; every other one is a target already. */
export async function fillWithDocuments({
  databaseUrl,
  sourceDatabaseUrl,
  rows,
}: FillRequest): Promise<void> {
  await createDemoDocuments({ sourceDatabaseUrl, count: rows, preprocessedShare: 0.02 });
  const documents = await fillDatabase('the source database', sourceDatabaseUrl, async (source) => {
    const found = await source.query<{ all: string }>(
      `SELECT json_agg(d ORDER BY id)::text AS all FROM public.legacy_document AS d WHERE id % 2 = 0`,
    );
    return found.rows[0]?.all;
  });
  await fillDatabase('the database of the targets', databaseUrl, (target) =>
    target.query(
      `INSERT INTO public.migration_target (ticket_key, member_id, document_name, uploaded_at)
       SELECT ticket_key, member_id, document_name, uploaded_at
         FROM json_to_recordset($1::json)
              AS d (id bigint, ticket_key text, member_id bigint, document_name text, uploaded_at timestamptz)
        ORDER BY id`,
      [documents],
    ),
  );
}
