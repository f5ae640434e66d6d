/** A word that may come next, and what it means. */
export interface Candidate {
  readonly word: string;
  readonly told?: string | undefined;
}
