import { auditPage } from './pages/audit.ts';
import { healthPage } from './pages/health.ts';
import { jobsPage } from './pages/jobs/catalogue.ts';
import { jobPage } from './pages/jobs/job.ts';
import { planAction, planPage } from './pages/jobs/plan.ts';
import { startAction } from './pages/jobs/start.ts';
import { plainControlActions, verifyAction } from './pages/run/controls.ts';
import { runPage } from './pages/run/page.ts';
import { partitionsPage } from './pages/run/partitions.ts';
import { tuneAction } from './pages/run/tune.ts';
import { runsPage } from './pages/runs.ts';
import { scheduleActions } from './pages/schedules/changes.ts';
import { scheduleAction } from './pages/schedules/create.ts';
import { schedulesPage } from './pages/schedules/list.ts';
import { schedulePage } from './pages/schedules/schedule.ts';
import { allSkipsPage } from './pages/skips/all.ts';
import { redriveAction, waiveAction } from './pages/skips/changes.ts';
import { deadLettersPage } from './pages/skips/dead-letters.ts';
import { exportContent } from './pages/skips/export.ts';
import { instanceSkipsPage } from './pages/skips/instance.ts';
import { rewindAction, syncsPage } from './pages/syncs.ts';
import type { Content } from './view.ts';

/** All pages of the console and all that can be done there. */
export const contents: readonly Content[] = [
  runsPage,
  runPage,
  partitionsPage,
  ...plainControlActions,
  tuneAction,
  verifyAction,
  allSkipsPage,
  instanceSkipsPage,
  redriveAction,
  waiveAction,
  exportContent,
  deadLettersPage,
  jobsPage,
  jobPage,
  startAction,
  planAction,
  planPage,
  scheduleAction,
  schedulesPage,
  schedulePage,
  ...scheduleActions,
  syncsPage,
  rewindAction,
  healthPage,
  auditPage,
];
