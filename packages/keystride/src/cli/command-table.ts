import { Argument, Command } from 'commander';

/** Completes a command with its options, its examples and its work. */
type Completion = (command: Command) => Command | Promise<Command>;

/** A command of `keystride` as the help lists it. What it works with is loaded when it is called. */
export interface CommandEntry {
  readonly name: string;
  /** One line. */
  readonly description: string;
  readonly arguments?: () => readonly Argument[];
  /** Not shown in the help: programs call it. */
  readonly hidden?: boolean;
  readonly load: () => Promise<Completion>;
}

/** What `keystride skips` can do. */
export const skipsActions = ['list', 'export', 'redrive', 'waive'] as const;

const runId = () => [new Argument('<id>', 'the workflow id, see `keystride list`')];
const jobName = () => [new Argument('<job>', 'its name, see `keystride jobs`')];

/** The commands of `keystride`, in the order of the help. This is all that the help of `keystride` itself loads. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: 'init',
    description: 'write a project of your own, with one job that works',
    arguments: () => [
      new Argument('<directory>', 'its name is the name of the project; . for the one you are in'),
    ],
    load: async () => (await import('./init.ts')).initCommand,
  },
  {
    name: 'dev',
    description: 'bring up Temporal, PostgreSQL, what else the jobs work with, and a worker',
    load: async () => (await import('./dev.ts')).devCommand,
  },
  {
    name: 'worker',
    description: 'run a worker until it is told to end',
    load: async () => (await import('./worker.ts')).workerCommand,
  },
  {
    name: 'migrate',
    description: "make or update the ledger, and the tables of the project's own migrations",
    load: async () => (await import('./migrate.ts')).migrateCommand,
  },
  {
    name: 'bundle',
    description: 'write the workflows into one file, for workers that start at once',
    arguments: () => [new Argument('[file]', 'where to').default('workflows.js')],
    load: async () => (await import('./bundle.ts')).bundleCommand,
  },
  {
    name: 'new',
    description: 'write the beginnings of something',
    load: async () => (await import('./new-job.ts')).newCommand,
  },
  {
    name: 'jobs',
    description: 'show the jobs with their parameters and steps',
    load: async () => (await import('./jobs.ts')).jobsCommand,
  },
  {
    name: 'start',
    description: 'start a job, or go on with one that failed or was stopped',
    arguments: jobName,
    load: async () => (await import('./start.ts')).startCommand,
  },
  {
    name: 'status',
    description: 'say where a run stands',
    arguments: runId,
    load: async () => (await import('./status.ts')).statusCommand,
  },
  {
    name: 'list',
    description: 'list runs, newest first',
    load: async () => (await import('./list.ts')).listCommand,
  },
  {
    name: 'pause',
    description: 'let the chunks in hand commit, then wait',
    arguments: runId,
    load: async () => (await import('./controls.ts')).pauseCommand,
  },
  {
    name: 'resume',
    description: 'go on after a pause, or try again what a job holds for',
    arguments: runId,
    load: async () => (await import('./controls.ts')).resumeCommand,
  },
  {
    name: 'stop',
    description: 'let the chunks in hand commit, then end; a new start goes on from there',
    arguments: runId,
    load: async () => (await import('./controls.ts')).stopCommand,
  },
  {
    name: 'skip',
    description: 'set the items aside that a job holds for, and go on',
    arguments: runId,
    load: async () => (await import('./controls.ts')).skipCommand,
  },
  {
    name: 'tune',
    description: 'change the figures of a running job',
    arguments: runId,
    load: async () => (await import('./controls.ts')).tuneCommand,
  },
  {
    name: 'console',
    description: 'show runs in a browser, and let people act there',
    load: async () => (await import('./console.ts')).consoleCommand,
  },
  {
    name: 'codec-server',
    description: 'decrypt for the Temporal UI and CLI, where payloads are encrypted',
    load: async () => (await import('./codec-server.ts')).codecServerCommand,
  },
  {
    name: 'schedule',
    description: 'run jobs at their times',
    load: async () => (await import('./schedule.ts')).scheduleCommand,
  },
  {
    name: 'skips',
    description: 'show, export, run again or waive the items that were skipped',
    arguments: () => [
      new Argument('<id>', 'the workflow id or the instance'),
      new Argument('[action]', 'what to do').choices(skipsActions).default('list'),
    ],
    load: async () => (await import('./skips.ts')).skipsCommand,
  },
  {
    name: 'audit',
    description: 'show who changed what, when and why',
    arguments: () => [new Argument('[id]', 'a workflow id, an instance, a schedule or a stream')],
    load: async () => (await import('./audit.ts')).auditCommand,
  },
  {
    name: 'prune',
    description: 'delete from the ledger what nobody needs any more',
    load: async () => (await import('./prune.ts')).pruneCommand,
  },
  {
    name: 'sync',
    description: 'show how far syncs have come, move them back, or forget them',
    load: async () => (await import('./sync.ts')).syncCommand,
  },
  {
    name: 'verify',
    description: 'compare source and target of a run',
    arguments: runId,
    load: async () => (await import('./verify.ts')).verifyCommand,
  },
  {
    name: 'plan',
    description: 'try the first rows of a job, roll them back, and say what a run would take',
    arguments: jobName,
    load: async () => (await import('./plan.ts')).planCommand,
  },
  {
    name: 'doctor',
    description: 'look whether everything that a run needs is there and as it should be',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: 'prove',
    description: 'kill workers through runs of a job on a copy of its data, and check what they leave',
    arguments: jobName,
    load: async () => (await import('./prove.ts')).proveCommand,
  },
  {
    name: 'completion',
    description: 'print a script that completes keystride in bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completionCommand,
  },
  {
    name: 'complete',
    description: 'say which words may come next',
    arguments: () => [new Argument('[words...]', 'what was typed, the last word being typed')],
    hidden: true,
    load: async () => (await import('./complete.ts')).completeCommand,
  },
];

/** A command as far as the help lists it. */
export function headOf({ name, description, arguments: taken }: CommandEntry): Command {
  const command = new Command(name).description(description);
  for (const argument of taken?.() ?? []) command.addArgument(argument);
  return command;
}
