/** The search attributes that keystride sets where the namespace has them, and what `dev` registers. */
export const searchAttributes = {
  job: 'KeystrideJob',
  status: 'KeystrideStatus',
  skipped: 'KeystrideSkipped',
  businessDate: 'KeystrideBusinessDate',
} as const;

/** Their types, by Temporal's numbers: keyword, integer, time. */
export const searchAttributeTypes: Readonly<Record<string, number>> = {
  [searchAttributes.job]: 2,
  [searchAttributes.status]: 2,
  [searchAttributes.skipped]: 3,
  [searchAttributes.businessDate]: 6,
};
