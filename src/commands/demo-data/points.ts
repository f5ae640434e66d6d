import type { Command } from 'commander';
import { count, keystride, wholeNumber } from 'keystride/command';
import { createDemoPoints } from '../../demo-data/points.ts';
import { kindCommand, makeKind, type KindOptions } from './kind.ts';

const help = `
The rows go into table point_event of the target database (DATABASE_URL), where pointSettlement finds them: accruals,
uses and expiries from 2025-10-01 to 2025-10-05. --reset empties the settlements too.

Examples:
  $ keystride demo-data points --rows 1000000
  $ keystride demo-data points --rows 10000 --members 100 --reset`;

/** `keystride demo-data points` */
export function pointsCommand(): Command {
  return kindCommand('points', 'events that change the points of members', help)
    .option('--members <n>', 'members who have events; a tenth of the events by default', wholeNumber(1))
    .action(points);
}

function points({ members, ...options }: KindOptions & { members?: number }): Promise<void> {
  const own = members === undefined ? {} : { members };
  return makeKind(
    options,
    'events',
    (request) => createDemoPoints({ ...request, ...own }),
    (made) => ({
      told: `${count(made.events)} events of ${count(made.members)} members`,
      next: `${keystride} start pointSettlement --param date=2025-10-01 --watch`,
    }),
  );
}
