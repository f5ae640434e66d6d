import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect } from 'vitest';
import type { Reader } from '../../packages/keystride/src/contract/reader.ts';
import { MalformedRecord } from '../../packages/keystride/src/stores/files/source-file.ts';
import { type Read, readAll, readRange } from './reading.ts';

const signal = new AbortController().signal;

/** A directory that goes when the tests of the file have ended. */
export function ownDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'keystride-readers-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** What each record became: its item, or the error of its read. */
export function outcomes(found: readonly Read<unknown>[]): unknown[] {
  return found.map(({ item, error }) => {
    if (error === undefined) return item;
    expect(error).toBeInstanceOf(MalformedRecord);
    return 'malformed';
  });
}

/** Reads a whole file in pages of several sizes, all of which must agree; and from each cursor on. */
export async function readEveryWay<Item>(make: () => Reader<Item>, partitions = [1]): Promise<Read<Item>[]> {
  const whole = await readAll(make, 1000);
  for (const count of partitions)
    for (const limit of [1, 2, 3]) expect(await readAll(make, limit, count)).toMatchObject(shapes(whole));
  const { ranges } = await make().plan({ partitions: 1, signal });
  if (!ranges[0]) return whole;
  for (const [index, { cursor }] of whole.entries())
    expect(await readRange(make(), ranges[0], 2, cursor)).toMatchObject(shapes(whole.slice(index + 1)));
  const again = await make().readKeys?.({ keys: whole.map(({ cursor }) => cursor), signal });
  expect(again).toMatchObject(
    whole.map(({ item, error }) =>
      error === undefined ? { item } : { error: expect.anything() as unknown },
    ),
  );
  return whole;
}

/** Items and keys alone; cursors name the range's file, errors are made anew. */
const shapes = <Item>(found: readonly Read<Item>[]) => found.map(({ item, key }) => ({ item, key }));
