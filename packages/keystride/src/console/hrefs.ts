// Addresses of pages. What others have named is encoded: an id may hold a slash, a question mark, or worse.

/** The page of a run, or one below it. */
export function runHref(workflowId: string, below = ''): string {
  return `/runs/${encodeURIComponent(workflowId)}${below === '' ? '' : `/${below}`}`;
}

/** The list of runs, of these alone. */
export function runsHref(filter: Readonly<Record<string, string | undefined>> = {}): string {
  return `/${queryOf(filter)}`;
}

/** The skips of an instance, or of all; or a page below those of an instance. */
export function skipsHref(instance?: string, below = ''): string {
  if (instance === undefined) return '/skips';
  return `/skips/${encodeURIComponent(instance)}${below === '' ? '' : `/${below}`}`;
}

/** The page of a job, or one below it. */
export function jobHref(job: string, below = ''): string {
  return `/jobs/${encodeURIComponent(job)}${below === '' ? '' : `/${below}`}`;
}

/** The page of a schedule, or one below it. */
export function scheduleHref(scheduleId: string, below = ''): string {
  return `/schedules/${encodeURIComponent(scheduleId)}${below === '' ? '' : `/${below}`}`;
}

/** `?a=b&c=d`, or nothing; without what is undefined or empty. */
export function queryOf(values: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value ? [[name, value] as [string, string]] : [],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}
