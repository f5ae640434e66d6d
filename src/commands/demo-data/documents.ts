import type { Command } from 'commander';
import { count, keystride, loadSettings } from 'keystride/command';
import {
  createDemoDocuments,
  type DemoDocuments,
  type DemoDocumentsOptions,
} from '../../demo-data/documents.ts';
import {
  countOf,
  explained,
  kindCommand,
  printMade,
  progressOf,
  seedAndReset,
  type KindOptions,
} from './kind.ts';

const help = `
The rows go into the source database (SOURCE_DATABASE_URL), where targetSync finds them. With --from, --count is the
most to take, and the stub of the legacy API must serve the same directory: keystride dev --legacy-api "--from DIR".

Examples:
  $ keystride demo-data documents --count 1000000
  $ keystride demo-data documents --count 1000 --seed 7 --reset
  $ keystride demo-data documents --from ./node_modules`;

/** `keystride demo-data documents` */
export function documentsCommand(): Command {
  return kindCommand('documents', 'documents that have to be migrated', help)
    .option('--from <dir>', 'one document for each text file below this directory')
    .action(documents);
}

async function documents(options: KindOptions & { from?: string }): Promise<void> {
  const { from } = options;
  const many =
    from === undefined || options.count !== undefined
      ? { count: countOf(options, 'documents', ', or --from DIR') }
      : {};
  const { sourceDatabaseUrl } = loadSettings(process.env, ['sourceDatabaseUrl']);
  const made = await createDocuments({
    sourceDatabaseUrl,
    ...many,
    ...seedAndReset(options),
    ...(from !== undefined && { from }),
    onProgress: progressOf('documents'),
  });
  const told = `${count(made.documents)} documents, ${count(made.targets)} of them to migrate`;
  printMade(made, told, `${keystride} start targetSync --watch`, options);
}

/** Makes documents. @throws CommandError with the reason and the database, without credentials */
export async function createDocuments(options: DemoDocumentsOptions): Promise<DemoDocuments> {
  return explained(options.sourceDatabaseUrl, () => createDemoDocuments(options), 'SOURCE_DATABASE_URL');
}
