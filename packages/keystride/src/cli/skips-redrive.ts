import { commandAuthor } from '../operator/author.ts';
import { keystride } from '../operator/called-as.ts';
import { withSession } from '../operator/connection.ts';
import { skipCount } from '../operator/skips/list.ts';
import { startRedrive } from '../operator/skips/redrive.ts';
import { untilOpened } from '../operator/start.ts';
import { printJson, printLine, progressLine } from './output.ts';
import type { SkipsOptions } from './skips-options.ts';
import { announce } from './start.ts';
import { reportEnd } from './status.ts';
import { watchOrDetach } from './watch.ts';

/** `keystride skips ID redrive`: runs the open skips again, as a run of its own. */
export async function redriveSkips(id: string, options: SkipsOptions): Promise<void> {
  await withSession(async (session) => {
    const started = await startRedrive(session, id, options, commandAuthor(options));
    const opened = await untilOpened(session, started);
    const print = options.output === 'text' ? printLine : progressLine;
    print(`redriving ${skipCount(started.items)} of the skips of ${started.redrives}`);
    announce(started, print);
    if (!opened)
      progressLine(`no worker polls task queue ${started.taskQueue}; it waits for one: ${keystride} worker`);
    if (!options.watch) return options.output === 'json' ? printJson(started) : undefined;
    const ended = await watchOrDetach(session.client, started.workflowId, options.output);
    if (ended) await reportEnd(ended.progress, options.output);
  });
}
