import type { FillRequest } from 'keystride/config';
import { SessionClient } from 'keystride/postgres';
import { createDemoDocuments } from './documents.ts';

/** Makes documents in the service's database; every other one is a target already. */
export async function fillWithDocuments({
  databaseUrl,
  sourceDatabaseUrl,
  rows,
}: FillRequest): Promise<void> {
  await createDemoDocuments({ sourceDatabaseUrl, count: rows, preprocessedShare: 0.02 });
  await withClient(sourceDatabaseUrl, (source) =>
    withClient(databaseUrl, async (target) => {
      const { rows: documents } = await source.query<{ all: string }>(
        `SELECT json_agg(d ORDER BY id)::text AS all FROM public.legacy_document AS d WHERE id % 2 = 0`,
      );
      await target.query(
        `INSERT INTO public.migration_target (ticket_key, member_id, document_name, uploaded_at)
         SELECT ticket_key, member_id, document_name, uploaded_at
           FROM json_to_recordset($1::json)
                AS d (id bigint, ticket_key text, member_id bigint, document_name text, uploaded_at timestamptz)
          ORDER BY id`,
        [documents[0]?.all],
      );
    }),
  );
}

async function withClient<Result>(
  url: string,
  work: (client: SessionClient) => Promise<Result>,
): Promise<Result> {
  const client = new SessionClient({ connectionString: url, application_name: 'keystride prove' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
