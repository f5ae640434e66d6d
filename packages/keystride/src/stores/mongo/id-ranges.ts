import { type Collection, type Document, type Filter, MongoServerError } from 'mongodb';
import { type Cursor, cursorOf, type KeyRange } from '../../contract/cursor.ts';
import type { RangeSplit, ReadPlan, SplitRequest } from '../../contract/reader.ts';
import {
  cursorOfId,
  type IdKind,
  idKinds,
  idOfCursor,
  UnusableId,
  unusableId,
  unusableInFerret,
  unusableTypes,
} from './id-keys.ts';

interface RangeRequest {
  readonly collection: Collection;
  readonly filter: Filter<Document>;
  readonly partitions: number;
  readonly signal: AbortSignal;
}

/** What is at hand while ranges are cut: the highest `_id` of each kind that is there, in the order of the kinds. */
interface CutRequest extends RangeRequest {
  readonly highest: readonly Cursor[];
  readonly expected: number;
}

/** Up to so many documents are counted when there is a filter, and cut by rank, exactly. */
const rankedUpTo = 20_000;

/** Documents that a sample takes for each partition, before it is filtered. */
const sampledPerPartition = 300;

/** With fewer of them left, the sample says too little of what the filter matches. */
const fewestPerPartition = 20;

/** A server that cannot sample: MongoDB's code for an unknown stage, and FerretDB's. */
const stageUnknown: readonly unknown[] = [40324, 238];

/**
 * Divides the documents that a filter matches now into ranges of about as many each, in the order of their `_id`.
 *
 * The upper end is frozen for each kind of `_id`: a range's upper cursor names the highest value of every kind up to
 * its own, as pairs of type and value. A kind that appears later belongs to another run.
 *
 * @throws UnusableId when there is an `_id` of a kind that cannot be scanned.
 */
export async function planIdRanges(request: RangeRequest): Promise<ReadPlan> {
  await refuseUnusable(request);
  const highest: Cursor[] = [];
  for (const { type } of idKinds) {
    const id = await endOf(request, type, -1);
    if (id !== undefined) highest.push(cursorOfId(id));
  }
  if (highest.length === 0) return { ranges: [], expected: 0 };
  const { expected, exact } = await expectedDocuments(request);
  const cutRequest = { ...request, highest, expected };
  const cuts = request.partitions < 2 ? [] : await cutIds(cutRequest, exact);
  return { ranges: rangesBetween(cuts, highest), expected, counted: exact };
}

/**
 * Finds the middle of what is left of a range, as ranges are cut when they are planned.
 *
 * @param filter what is read of the collection.
 */
export async function splitIdRange(
  collection: Collection,
  filter: Filter<Document>,
  { range, after, fewest, signal }: SplitRequest,
): Promise<RangeSplit | null> {
  const spans = spansOf(range, after);
  if (range.upper === null || spans.length === 0) return null;
  const left = { $and: [filter, { $or: spans.map(({ condition }) => ({ _id: condition })) }] };
  const request = { collection, filter: left as Filter<Document>, partitions: 2, signal };
  const { expected, exact } = await expectedDocuments(request);
  if (expected < Math.max(2, fewest)) return null;
  const highest = pairsOf(range.upper).map(({ cursor }) => cursor);
  const [cut] = await cutIds({ ...request, highest, expected }, exact);
  return cut ? { at: upperOf(cut, highest), items: expected } : null;
}

/** Documents whose `_id` is at most the highest of its kind. */
function upTo({ filter, highest }: Pick<CutRequest, 'filter' | 'highest'>): Filter<Document> {
  const each = highest.map((cursor) => ({ _id: { $lte: idOfCursor(cursor).value } }));
  return { $and: [filter, { $or: each }] } as Filter<Document>;
}

async function refuseUnusable(request: RangeRequest): Promise<void> {
  const { collection } = request;
  try {
    const found = await anyOf(request, unusableTypes).catch((error: unknown) => {
      if (!(error instanceof MongoServerError) || error.code !== badValue) throw error;
      return anyOf(request, unusableInFerret);
    });
    if (found) throw unusableId(found._id);
    // NaN sorts below all other numbers; a date may be too early for anybody to tell.
    for (const type of ['number', 'date']) {
      const lowest = await endOf(request, type, 1);
      if (lowest !== undefined) cursorOfId(lowest);
    }
  } catch (error) {
    if (!(error instanceof UnusableId)) throw error;
    throw new UnusableId(
      `collection ${collection.namespace}: ${error.message} Copy those documents by a filter of their own.`,
    );
  }
}

/** MongoDB's code for a type of which it has no name. */
const badValue = 2;

/** A document whose `_id` is of one of these types, in no order. */
function anyOf({ collection, filter, signal }: RangeRequest, types: readonly string[]) {
  const ofTypes = { $and: [filter, { _id: { $type: types } }] } as unknown as Filter<Document>;
  return collection.findOne(ofTypes, { projection: { _id: 1 }, signal });
}

/** The lowest (1) or highest (-1) `_id` of a type that the filter matches. */
async function endOf(
  { collection, filter, signal }: RangeRequest,
  type: string,
  direction: 1 | -1,
): Promise<unknown> {
  const ofType = { $and: [filter, { _id: { $type: type } }] } as unknown as Filter<Document>;
  const found = await collection.findOne(ofType, {
    sort: { _id: direction },
    projection: { _id: 1 },
    signal,
  });
  return found?._id;
}

async function expectedDocuments({
  collection,
  filter,
  signal,
}: RangeRequest): Promise<{ readonly expected: number; readonly exact: boolean }> {
  const counted = await collection.countDocuments(filter, { limit: rankedUpTo + 1, signal });
  if (counted <= rankedUpTo) return { expected: counted, exact: true };
  // Of a filter nobody knows more without reading all of it.
  const estimated = Object.keys(filter).length === 0 ? await collection.estimatedDocumentCount() : counted;
  return { expected: Math.max(counted, estimated), exact: false };
}

async function cutIds(request: CutRequest, exact: boolean): Promise<Cursor[]> {
  if (exact) return rankedCuts(request);
  const { collection, filter, partitions } = request;
  const within = { $match: upTo(request) };
  const sample = (perPartition: number) => ({ $sample: { size: perPartition * partitions } });
  const order = [{ $project: { _id: 1 } }, { $sort: { _id: 1 } }];
  try {
    // A sample of the whole collection is taken by a random cursor; the filter comes after it.
    const first = await sampled(collection, [sample(sampledPerPartition), within, ...order]);
    if (first.length >= fewestPerPartition * partitions) return quantiles(request, first);
    if (Object.keys(filter).length === 0) return rankedCuts(request);
    return quantiles(request, await sampled(collection, [within, sample(sampledPerPartition), ...order]));
  } catch (error) {
    if (!(error instanceof MongoServerError) || !stageUnknown.includes(error.code)) throw error;
    return rankedCuts(request);
  }
}

/** Distinct, in the server's order. A sample may hold a document twice. */
async function sampled(collection: Collection, pipeline: Document[]): Promise<Cursor[]> {
  const documents = await collection.aggregate(pipeline, { allowDiskUse: true }).toArray();
  const cursors = documents.map(({ _id }) => cursorOfId(_id));
  return cursors.filter((cursor, index) => !same(cursor, cursors[index - 1]));
}

function quantiles({ partitions, highest }: CutRequest, sorted: readonly Cursor[]): Cursor[] {
  const places = Array.from({ length: partitions - 1 }, (_, index) =>
    Math.floor(((index + 1) * sorted.length) / partitions),
  );
  return distinctCuts(
    places.map((place) => sorted[place - 1]),
    highest,
  );
}

/** By rank: the server walks the index of `_id` to each cut. */
async function rankedCuts(request: CutRequest): Promise<Cursor[]> {
  const { collection, expected, partitions, signal, highest } = request;
  const cuts: (Cursor | undefined)[] = [];
  for (let part = 1; part < partitions; part++) {
    const skip = Math.floor((part * expected) / partitions) - 1;
    if (skip < 0) continue;
    const options = { sort: { _id: 1 }, skip, projection: { _id: 1 }, signal } as const;
    const found = await collection.findOne(upTo(request), options);
    cuts.push(found ? cursorOfId(found._id) : undefined);
  }
  return distinctCuts(cuts, highest);
}

/** Cuts come in the server's order; one that is there twice, or the highest of all, would make an empty range. */
function distinctCuts(cuts: readonly (Cursor | undefined)[], highest: readonly Cursor[]): Cursor[] {
  const known = cuts.filter((cut) => cut !== undefined);
  return known.filter((cut, index) => !same(cut, known[index - 1]) && !same(cut, highest.at(-1)));
}

function same(a: Cursor, b: Cursor | undefined): boolean {
  return b !== undefined && a[0] === b[0] && a[1] === b[1];
}

function rangesBetween(cuts: readonly Cursor[], highest: readonly Cursor[]): KeyRange[] {
  const uppers = [...cuts.map((cut) => upperOf(cut, highest)), cursorOf(highest.flat())];
  return uppers.map((upper, index) => ({ lower: uppers[index - 1] ?? null, upper }));
}

/** The highest values of the kinds below a cut's, and the cut. */
function upperOf(cut: Cursor, highest: readonly Cursor[]): Cursor {
  const kind = placeOf(idOfCursor(cut).kind);
  const below = highest.filter((cursor) => placeOf(idOfCursor(cursor).kind) < kind);
  return cursorOf([...below.flat(), ...cut]);
}

/** What the server has to compare: one span of `_id` of one kind. */
export interface IdSpan {
  readonly kind: IdKind;
  readonly condition: Document;
}

/** The spans of a range above a cursor, one a kind, in their order. */
export function spansOf({ lower, upper }: KeyRange, after: Cursor | null): IdSpan[] {
  const start = after ?? lower;
  const from = start === null ? undefined : idOfCursor(start.slice(-2));
  const limits = upper === null ? undefined : pairsOf(upper);
  const spans: IdSpan[] = [];
  for (const { kind, type } of idKinds) {
    if (from && placeOf(kind) < placeOf(from.kind)) continue;
    const limit = limits?.find((known) => known.kind === kind)?.value;
    if (limits && limit === undefined) continue;
    const condition: Document = {
      ...(from?.kind === kind ? { $gt: from.value } : {}),
      ...(limit === undefined ? {} : { $lte: limit }),
    };
    spans.push({ kind, condition: Object.keys(condition).length > 0 ? condition : { $type: type } });
  }
  return spans;
}

function pairsOf(upper: Cursor) {
  return Array.from({ length: upper.length / 2 }, (_, index) => {
    const cursor = cursorOf(upper.slice(2 * index, 2 * index + 2));
    return { cursor, ...idOfCursor(cursor) };
  });
}

function placeOf(kind: IdKind): number {
  return idKinds.findIndex((known) => known.kind === kind);
}
