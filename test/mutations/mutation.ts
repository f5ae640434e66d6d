import { stripTypeScriptTypes } from 'node:module';

/** A change of the sources that breaks one rule, and the test that has to notice. */
export interface Mutation {
  /** The rule that it breaks: of docs/protocol.md, or of what a run and its workers keep to. */
  readonly rule: string;
  /** What is changed: the text stands in the file exactly once. */
  readonly edits: readonly (readonly [file: string, search: string, replace: string])[];
  readonly test: string;
  /** Names the test within its file, as `vitest -t` takes it. */
  readonly named: string;
}

/**
 * The files that a mutation changes, as it leaves them.
 *
 * @param read the text of a file as it is
 * @throws when a text does not stand in its file exactly once, or what comes out is no program
 */
export function mutated({ edits }: Mutation, read: (file: string) => string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const [file, search, replace] of edits) {
    const [first = '', ...others] = (files.get(file) ?? read(file)).split(search);
    if (others.length !== 1) throw new Error(`${file} has this ${others.length} times: ${search}`);
    files.set(file, [first, ...others].join(replace));
  }
  // Its test would fail for nothing where this throws.
  for (const [file, text] of files) if (file.endsWith('.ts')) stripTypeScriptTypes(text);
  return files;
}
