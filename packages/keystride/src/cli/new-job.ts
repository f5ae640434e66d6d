import path from 'node:path';
import type { Command } from 'commander';
import { loadSettings } from '../dev/settings.ts';
import { loadProject, migrationsOf, type Project } from '../project/project.ts';
import { kebabOf, ScaffoldError } from '../scaffold/files.ts';
import { checkJobName, writeJob } from '../scaffold/job.ts';
import { describeTable, type Table } from '../scaffold/table.ts';
import { keystride } from '../operator/called-as.ts';
import { databaseProblem } from '../operator/explain.ts';
import { scaffolded } from './init.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';

interface NewJobOptions extends OutputOptions {
  table?: string;
}

const help = `
Writes a contract, a flow, the work of one step and a test, all working, into the project that it is called in, and
enters the job into the indexes. With a table it asks the catalogue of DATABASE_URL, or of the development stack that
runs, for key and columns: the job reads that table by its key, and notes each row in a table of its own, which a
migration makes. Change lines into what the job is to do. What is there is left alone.

Examples:
  $ keystride new job invoiceReminder
  $ keystride new job couponExpiry --table coupon
  $ keystride new job couponExpiry --table billing.coupon`;

/** `keystride new job`: the files of a job, to be filled in. */
export function newCommand(command: Command): Command {
  command
    .command('job')
    .description('a job: its contract, flow, work and test')
    .argument('<name>', 'in camelCase, such as invoiceReminder')
    .option('--table <[schema.]table>', 'the table whose rows it is about')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(newJob);
  return command;
}

async function newJob(name: string, { table: tableName, output }: NewJobOptions): Promise<void> {
  const project = await loadProject();
  const { root } = project;
  scaffolded('NewJob', () => checkJobName(root, name));
  const table = tableName === undefined ? undefined : await tableOf(tableName, name);
  const place = { root, migrations: migrationFolder(project) };
  const files = scaffolded('NewJob', () => writeJob(place, name, table));
  if (output === 'json') return printJson({ job: name, files });
  for (const file of files) printLine(`wrote ${path.relative(process.cwd(), path.join(root, file))}`);
  const test = files.find((file) => file.endsWith('.test.ts')) ?? '';
  printLine(`  next  npx vitest run ${test}`);
  if (table) printLine(`        ${keystride} migrate`);
  printLine(
    `        ${keystride} dev stop; ${keystride} dev --detach    (workers that run already do not know it)`,
  );
  printLine(`        ${keystride} start ${name} --watch`);
}

async function tableOf(tableName: string, job: string): Promise<Table> {
  const { databaseUrl } = loadSettings(process.env, ['databaseUrl']);
  try {
    return await describeTable(databaseUrl, tableName, kebabOf(job, '_'));
  } catch (error) {
    if (!(error instanceof ScaffoldError)) throw databaseProblem(error, databaseUrl, 'DATABASE_URL');
    return scaffolded('NewJob', () => {
      throw error;
    });
  }
}

/** Where the tables of `DATABASE_URL` are made. */
function migrationFolder(project: Project): string | undefined {
  return migrationsOf(project).find(({ database = 'DATABASE_URL' }) => database === 'DATABASE_URL')?.folder;
}
