/** A row on its way: every value as the text that the source renders, under the column's name in the sink. */
export type SyncRow = Readonly<Record<string, string | null>>;
