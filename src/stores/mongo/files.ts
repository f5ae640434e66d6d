import { finished } from 'node:stream/promises';
import { type Db, type Document, GridFSBucket } from 'mongodb';
import { isDuplicateKey } from './errors.ts';

/** A bucket of GridFS whose files have ids of our own, so that writing a file again replaces it. */
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
   * Stores a file under its id, in place of what an earlier attempt may have left, finished or not.
   *
   * The file's entry is written after its last chunk, so a file that is there is whole. Looking first for what may be
   * there would cost every first attempt; the unique keys of GridFS say it for nothing.
   */
  async replace(id: string, name: string, content: Buffer, metadata: Document): Promise<void> {
    try {
      await this.#upload(id, name, content, metadata);
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      await this.remove([id]);
      await this.#upload(id, name, content, metadata);
    }
  }

  /** Removes files with all their chunks; what is not there is no error. */
  async remove(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#files.deleteMany({ _id: { $in: [...ids] } });
    await this.#database.collection(`${this.#name}.chunks`).deleteMany({ files_id: { $in: [...ids] } });
  }

  /** The content of a file, or undefined when it is not there. */
  async read(id: string): Promise<Buffer | undefined> {
    if (!(await this.#files.findOne({ _id: id }))) return undefined;
    const parts: Buffer[] = [];
    for await (const part of this.#bucket.openDownloadStream(id as unknown as FileId))
      parts.push(part as Buffer);
    return Buffer.concat(parts);
  }

  /** Ids of files above `after`, in order. */
  async idsAbove(after: string, limit: number): Promise<string[]> {
    const files = this.#files.find({ _id: { $gt: after } }, { projection: { _id: 1 } });
    return (await files.sort({ _id: 1 }).limit(limit).toArray()).map(({ _id }) => _id);
  }

  /** Ids that chunks belong to, of which no file is there: what a crash in the middle of an upload leaves. */
  async unfinished(): Promise<string[]> {
    const chunks = this.#database.collection<{ _id: unknown; files_id: string }>(`${this.#name}.chunks`);
    const owners: string[] = await chunks.distinct('files_id');
    const whole = await this.#files.find({ _id: { $in: owners } }, { projection: { _id: 1 } }).toArray();
    const known = new Set(whole.map(({ _id }) => _id));
    return owners.filter((owner) => !known.has(owner));
  }

  async #upload(id: string, name: string, content: Buffer, metadata: Document): Promise<void> {
    // The driver's types know ObjectId alone; the server takes any id.
    const upload = this.#bucket.openUploadStreamWithId(id as unknown as FileId, name, { metadata });
    upload.end(content);
    await finished(upload);
  }

  get #files() {
    return this.#database.collection<{ _id: string }>(`${this.#name}.files`);
  }
}

type FileId = Parameters<GridFSBucket['openUploadStreamWithId']>[0];
