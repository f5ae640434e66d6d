// Addresses of pages. What others have named is encoded: an id may hold a slash, a question mark, or worse.

/** The page of a run, or one below it. */
export function runHref(workflowId: string, below = ''): string {
  return `/runs/${encodeURIComponent(workflowId)}${below === '' ? '' : `/${below}`}`;
}

/** The list of runs, of these alone. */
export function runsHref(filter: Readonly<Record<string, string | undefined>> = {}): string {
  return `/${queryOf(filter)}`;
}

/** `?a=b&c=d`, or nothing; without what is undefined or empty. */
export function queryOf(values: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value ? [[name, value] as [string, string]] : [],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}
