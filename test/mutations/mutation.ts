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
