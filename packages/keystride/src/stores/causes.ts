/** An error and what caused it, the outermost first. */
export function causesOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (
    let at = error;
    at !== undefined && at !== null && chain.length < 20 && !chain.includes(at);
    at = at instanceof Error ? at.cause : null
  ) {
    chain.push(at);
  }
  return chain.length > 0 ? chain : [error];
}

/** The code that an error has; '' for none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
