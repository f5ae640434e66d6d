/**
 * A number as people read it, `1,234,567` or `31.4`, the same in every locale: of a fraction three digits at most.
 *
 * Not `toLocaleString`: within a workflow's context it took a quarter of the time of its thread in a long run.
 */
export function grouped(value: number): string {
  const rounded = String(Math.round(value * 1000) / 1000);
  return rounded.replace(/^-?\d+/u, (whole) => whole.replaceAll(/\B(?=(?:\d{3})+$)/gu, ','));
}
