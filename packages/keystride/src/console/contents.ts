import { runsPage } from './pages/runs.ts';
import type { Content } from './view.ts';

/** All pages of the console and all that can be done there. */
export const contents: readonly Content[] = [runsPage];
