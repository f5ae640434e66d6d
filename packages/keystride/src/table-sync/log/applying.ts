import type { SetAside } from '../../job/chunks.ts';
import type { FollowedTable } from './followed-table.ts';

/** Where changes are applied, and how. */
export interface Applying {
  readonly stream: string;
  /** Those that are followed, parents before the tables that refer to them. */
  readonly tables: readonly FollowedTable[];
  /**
   * What the sink has is of several moments: a constraint that a row violates need not be violated by what the source has.
   * Such a row is noted, and read again later.
   */
  readonly unsettled: boolean;
  /** They are few, and none is noted with others that the sink refuses: each is tried alone. @default false */
  readonly each?: boolean;
  /** Takes rows that the sink refuses; undefined where none may be set aside so. */
  readonly aside?: SetAside | undefined;
}
