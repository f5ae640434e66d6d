import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { type Db, type Document, GridFSBucket } from 'mongodb';
import { requireStorable } from './storable.ts';

/** Ids that are looked up at a time. */
const lookedUpAtATime = 1000;

/** A bucket of GridFS whose files have ids of our own: see `fileIdFor`. */
export class FileStore {
  readonly #database: Db;
  readonly #bucket: GridFSBucket;
  readonly #name: string;

  constructor(database: Db, name: string) {
    this.#database = database;
    this.#name = name;
    this.#bucket = new GridFSBucket(database, { bucketName: name });
  }

  /**
   * Stores a file under an id that is used for nothing else. The file's entry is written after its last chunk, so a file
   * that is there is whole.
   *
   * @throws UnstorableDocument for a name or metadata that would be stored as other ones.
   * @param onContent called when the content has been handed over and the entry has not been written.
   */
  async store(
    id: string,
    name: string,
    content: Buffer,
    metadata: Document,
    onContent?: () => void,
  ): Promise<void> {
    requireStorable({ id, name, metadata });
    // The driver's types know ObjectId alone; the server takes any id.
    const upload = this.#bucket.openUploadStreamWithId(id as unknown as FileId, name, { metadata });
    const ended = finished(upload);
    ended.catch(() => undefined);
    if (!upload.write(content)) await Promise.race([once(upload, 'drain'), ended]);
    onContent?.();
    upload.end();
    await ended;
  }

  /** Removes files with all their chunks; what is not there is no error. */
  async remove(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#files.deleteMany({ _id: { $in: [...ids] } });
    await this.#chunks.deleteMany({ files_id: { $in: [...ids] } });
  }

  /** The content of a file in its parts, or undefined when it is not there. */
  async open(id: string): Promise<AsyncIterable<Buffer> | undefined> {
    if (!(await this.#files.findOne({ _id: id }))) return undefined;
    return this.#bucket.openDownloadStream(id as unknown as FileId);
  }

  /** The content of a file, or undefined when it is not there. */
  async read(id: string): Promise<Buffer | undefined> {
    const content = await this.open(id);
    if (!content) return undefined;
    const parts: Buffer[] = [];
    for await (const part of content) parts.push(part);
    return Buffer.concat(parts);
  }

  /** Ids of files above `after`, in order. */
  async idsAbove(after: string, limit: number): Promise<string[]> {
    const files = this.#files.find({ _id: { $gt: after } }, { projection: { _id: 1 } });
    return (await files.sort({ _id: 1 }).limit(limit).toArray()).map(({ _id }) => _id);
  }

  /** Ids that chunks belong to, of which no file is there: what a crash in the middle of an upload leaves. */
  async unfinished(): Promise<string[]> {
    const found: string[] = [];
    let owners: string[] = [];
    const look = async () => {
      const whole = await this.#files.find({ _id: { $in: owners } }, { projection: { _id: 1 } }).toArray();
      const known = new Set(whole.map(({ _id }) => _id));
      found.push(...owners.filter((owner) => !known.has(owner)));
      owners = [];
    };
    // Not by `distinct`: its answer is one document, and ends at 16 MB.
    for await (const { _id } of this.#chunks.aggregate<{ _id: string }>([{ $group: { _id: '$files_id' } }])) {
      owners.push(_id);
      if (owners.length === lookedUpAtATime) await look();
    }
    if (owners.length > 0) await look();
    return found;
  }

  get #files() {
    return this.#database.collection<{ _id: string }>(`${this.#name}.files`);
  }

  get #chunks() {
    return this.#database.collection<{ files_id: string }>(`${this.#name}.chunks`);
  }
}

type FileId = Parameters<GridFSBucket['openUploadStreamWithId']>[0];
