import { plainControlActions, verifyAction } from './pages/run/controls.ts';
import { runPage } from './pages/run/page.ts';
import { partitionsPage } from './pages/run/partitions.ts';
import { tuneAction } from './pages/run/tune.ts';
import { runsPage } from './pages/runs.ts';
import type { Content } from './view.ts';

/** All pages of the console and all that can be done there. */
export const contents: readonly Content[] = [
  runsPage,
  runPage,
  partitionsPage,
  ...plainControlActions,
  tuneAction,
  verifyAction,
];
