/** The variables that name parts; whichever is set is used instead of a part of ours. */
export const addressVariables = ['TEMPORAL_ADDRESS', 'DATABASE_URL', 'MONGODB_URL'] as const;
