import { ToldError } from '../contract/told-error.ts';

/** The values that a list is sorted by, of its last row: the next page begins after it. */
export type PlaceInList = readonly [string, ...string[]];

/** A place as an address holds it. */
export function placeText(place: PlaceInList): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** @throws ToldError for what `placeText` has not made, of so many values */
export function placeFrom(text: string, width: number): PlaceInList {
  const place = parsed(Buffer.from(text, 'base64url').toString());
  if (isPlace(place) && place.length === width && !Number.isNaN(Date.parse(place[0]))) return place;
  throw new ToldError('this list has no such place: begin at its first page');
}

function parsed(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function isPlace(values: readonly unknown[]): values is PlaceInList {
  return values.length > 0 && values.every((value) => typeof value === 'string' && !value.includes('\0'));
}
