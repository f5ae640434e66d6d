/** The values that a list is sorted by, of its last row: the next page begins after it. The first one is a time. */
export type PlaceInList = readonly [string, ...string[]];

/** A place as an address holds it. */
export function placeText(place: PlaceInList): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** A place of so many values; undefined for none, and for what `placeText` has not made: the list begins at its start. */
export function placeFrom(text: string | undefined, width: number): PlaceInList | undefined {
  const place = parsed(Buffer.from(text ?? '', 'base64url').toString());
  const isPlace = place.length === width && isTexts(place) && !Number.isNaN(Date.parse(place[0]));
  return isPlace ? place : undefined;
}

function parsed(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function isTexts(values: readonly unknown[]): values is PlaceInList {
  return values.length > 0 && values.every((value) => typeof value === 'string' && !value.includes('\0'));
}
