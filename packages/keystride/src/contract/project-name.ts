/** By what a ledger tells a project from others that use it. */
export interface ProjectName {
  /** Undefined where nothing says it: then its instances are told from nobody's. */
  readonly name: string | undefined;
  /** What it was called until now: instances that it has claimed under such a name are its own. */
  readonly formerly: readonly string[];
}
