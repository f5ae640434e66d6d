import type { SkipFilter } from '../ledger/skip-filter.ts';
import type { AuthorOptions } from './author.ts';
import type { OutputOptions } from './options.ts';

/** The options of all actions of `keystride skips`. */
export interface SkipsOptions extends OutputOptions, AuthorOptions, SkipFilter {
  limit: number;
  watch?: true;
}
