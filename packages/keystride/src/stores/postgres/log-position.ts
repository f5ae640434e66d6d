declare const positionBrand: unique symbol;

/** A place in the write-ahead log of a server: bytes since its beginning. */
export type LogPosition = bigint & { readonly [positionBrand]: true };

/** Reads a `pg_lsn` as PostgreSQL, or a client of it, writes it. */
export function positionOf(text: string): LogPosition {
  const [high = '', low = ''] = text.split('/');
  return ((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) as LogPosition;
}

/** A position as PostgreSQL writes it: two texts are equal when their positions are. */
export function positionText(position: LogPosition): string {
  const low = BigInt.asUintN(32, position);
  return `${(position >> 32n).toString(16)}/${low.toString(16)}`.toUpperCase();
}
