import { readFileSync } from 'node:fs';
import { withCredentialsOf } from '../stores/postgres/address.ts';
import { codeOf } from '../stores/causes.ts';

/** One setting that stops us. */
export interface ConfigProblem {
  variable: string;
  problem: string;
}

/**
 * The variables that are set; an empty one counts as not set. Each of `names` may also stand in a file, which the
 * variable `NAME_FILE` names: the way to give a mounted secret.
 *
 * @param problems what is wrong with those files is added to it
 */
export function valuesOf(
  env: NodeJS.ProcessEnv,
  names: readonly string[] = [],
  problems: ConfigProblem[] = [],
): Record<string, string> {
  const entries = Object.entries(env).flatMap(([name, value]) => (value ? [[name, value] as const] : []));
  const set = Object.fromEntries(entries);
  const tell = (variable: string, problem: string) => void problems.push({ variable, problem });
  for (const name of names) {
    const file = set[`${name}_FILE`];
    if (file === undefined) continue;
    const read = valueIn(file);
    if (set[name] !== undefined) tell(name, `is set, and ${name}_FILE too: set one of them`);
    else if ('why' in read) tell(name, `is to be in the file of ${name}_FILE, ${file}: ${read.why}`);
    else set[name] = read.value;
  }
  return set;
}

function valueIn(file: string): { readonly value: string } | { readonly why: string } {
  try {
    const value = readSecret(file);
    if (value === '') return { why: 'it is empty' };
    return { value: /^postgres(ql)?:/u.test(value) ? withCredentialsOf(file, value) : value };
  } catch (error) {
    const code = codeOf(error) || 'unknown';
    return { why: `it cannot be read (${code})` };
  }
}

/** Without the newline that an editor has put at its end. */
function readSecret(file: string): string {
  return readFileSync(file, 'utf8').trim();
}

/** What a file holds whenever it is asked for; what it held before, where it cannot be read at that moment. */
export function latestOf(file: string, known: string): () => string {
  return () => {
    try {
      known = readSecret(file) || known;
    } catch {
      // It is being replaced.
    }
    return known;
  };
}
