import { keystride } from '../../../operator/called-as.ts';
import { readSchedules } from '../../../operator/schedules/list.ts';
import type { DescribedSchedule } from '../../../operator/schedules/read.ts';
import { html } from '../../html.ts';
import { emptiness } from '../../parts.ts';
import { view } from '../../view.ts';
import { schedulesTable } from './tables.ts';

interface Schedules {
  readonly schedules: readonly DescribedSchedule[];
}

/** Jobs at their times. */
export const schedulesPage = view<Schedules>({
  path: '/schedules',
  section: 'schedules',
  title: () => 'Schedules',
  read: async ({ session }) => ({ schedules: await readSchedules(session) }),
  parts: ({ schedules }) => ({
    schedules:
      schedules.length === 0
        ? emptiness(
            'There are no schedules.',
            html`Make one on the page of a <a href="/jobs">job</a>, or:
              <code>${keystride} schedule create JOB --cron "0 2 * * *" --timezone Europe/Berlin</code>`,
          )
        : schedulesTable(schedules),
  }),
});
