/**
 * Known vulnerabilities of what is installed, by npm's registry: `npm run audit`. Fails for those that count and are not
 * among the exceptions below. A registry that cannot be asked fails nothing, and is told.
 */
import { spawnSync } from 'node:child_process';

/** An advisory that is let pass. */
interface Exception {
  /** Why it does no harm here. */
  readonly reason: string;
  /** From this day on it counts again: somebody has to look. */
  readonly until: string;
}

/** By the id of the advisory, as its address ends: `GHSA-…`. */
const exceptions: Readonly<Record<string, Exception>> = {};

/** What counts: in what a user installs, and in what only this repository runs. */
const levels = { installed: ['high', 'critical'], repository: ['critical'] } as const;

/** What `npm audit --json` says of a package. */
interface Vulnerable {
  readonly name: string;
  readonly via: readonly (
    string | { readonly url: string; readonly title: string; readonly severity: string }
  )[];
}

interface Audit {
  readonly vulnerabilities?: Readonly<Record<string, Vulnerable>>;
  readonly message?: string;
}

const today = new Date().toISOString().slice(0, 10);
const found = [
  ...countingOf('installed', ['--omit', 'dev', '--workspace', 'keystride']),
  ...countingOf('repository', []),
];
for (const line of new Set(found)) console.error(line);
process.exitCode = found.length > 0 ? 1 : 0;

/** A line for each advisory that counts. */
function countingOf(where: keyof typeof levels, words: readonly string[]): string[] {
  const { stdout } = spawnSync('npm', ['audit', '--json', ...words], { encoding: 'utf8' });
  const { vulnerabilities, message } = parsed(stdout);
  if (vulnerabilities === undefined) {
    console.error(
      `NOT AUDITED (${where}): the registry does not say what is known: ${message ?? 'no answer'}`,
    );
    return [];
  }
  const advisories = Object.values(vulnerabilities).flatMap(({ name, via }) =>
    via.flatMap((cause) => (typeof cause === 'string' ? [] : [{ name, ...cause }])),
  );
  const counting = advisories.filter(
    ({ url, severity }) => levels[where].some((level) => level === severity) && !isExcepted(url),
  );
  console.log(`${where}: ${advisories.length} advisories, ${counting.length} that count`);
  return counting.map(({ name, severity, title, url }) => `${severity}: ${name}: ${title} ${url}`);
}

function isExcepted(url: string): boolean {
  const exception = exceptions[url.split('/').at(-1) ?? ''];
  return exception !== undefined && today < exception.until;
}

function parsed(text: string): Audit {
  try {
    return JSON.parse(text) as Audit;
  } catch {
    return {};
  }
}
