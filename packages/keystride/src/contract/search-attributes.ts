/** The search attributes that keystride sets where the namespace has them, and what `dev` registers. */
export const searchAttributes = {
  job: 'KeystrideJob',
  status: 'KeystrideStatus',
  skipped: 'KeystrideSkipped',
  businessDate: 'KeystrideBusinessDate',
} as const;
