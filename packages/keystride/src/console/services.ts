import type { Session as TemporalSession } from '../operator/connection.ts';
import type { ConsoleSettings } from '../settings/console-settings.ts';
import type { Banners } from './banners.ts';
import type { Series } from './live/series.ts';

/** What pages ask and act with. */
export interface Services {
  /** Temporal, and all settings; for as long as the console lives. */
  readonly session: TemporalSession;
  /** What needs a person, wherever they look. */
  readonly banners: Banners;
  /** How runs that somebody watches have come on. */
  readonly series: Series;
}

/** What a console is made of. */
export interface ConsoleParts extends Services {
  readonly settings: ConsoleSettings;
}
