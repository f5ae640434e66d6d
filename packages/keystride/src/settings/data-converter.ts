import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import path from 'node:path';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { ToldError } from '../contract/told-error.ts';
import { type EncryptionKeys, type EncryptionSettings, readEncryptionKeys } from './encryption-keys.ts';

/** A payload that cannot be read here. */
export class Undecipherable extends ToldError {
  override readonly name = 'Undecipherable';
}

const utf8 = (text: string) => Buffer.from(text);
/** As the samples of Temporal's SDKs name it, so that tools know it for what it is. */
const encoding = 'binary/encrypted';
const keyIdName = 'encryption-key-id';

/** How long a file of keys is not read again after it did not have a key, in milliseconds. */
const rereadAfterMs = 1_000;

/**
 * Encrypts what goes to Temporal by AES-256-GCM, and decrypts what comes from it: parameters, results, details of
 * failures, memos, summaries, heartbeats. What was written before there were keys is read as it is. A process without
 * keys writes plainly, and says of what it cannot read which key it lacks.
 */
export class EncryptionCodec implements PayloadCodec {
  #keys: EncryptionKeys;
  readonly #file: string | undefined;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(settings?: EncryptionSettings) {
    this.#keys = settings?.keys ?? new Map<string, Buffer>();
    this.#file = settings?.file;
  }

  encode(payloads: Payload[]): Promise<Payload[]> {
    const [current] = this.#keys;
    if (current === undefined) return Promise.resolve(payloads);
    return Promise.resolve(payloads.map((payload) => encrypted(payload, ...current)));
  }

  decode(payloads: Payload[]): Promise<Payload[]> {
    return Promise.resolve(payloads.map((payload) => this.#decoded(payload)));
  }

  #decoded(payload: Payload): Payload {
    if (metadataOf(payload, 'encoding') !== encoding) return payload;
    const id = metadataOf(payload, keyIdName);
    return decrypted(payload, id, this.#keyOf(id));
  }

  #keyOf(id: string): Buffer {
    const key = this.#keys.get(id) ?? this.#reread().get(id);
    if (key) return key;
    throw new Undecipherable(
      `a payload is encrypted with the key ${id}, which this process does not have: add it to KEYSTRIDE_ENCRYPTION_KEYS.`,
    );
  }

  /** Keys are replaced while processes run. */
  #reread(): EncryptionKeys {
    if (this.#file === undefined || performance.now() - this.#readAt < rereadAfterMs) return this.#keys;
    this.#readAt = performance.now();
    this.#keys = readEncryptionKeys(this.#file).keys;
    return this.#keys;
  }
}

function metadataOf({ metadata }: Payload, name: string): string {
  return Buffer.from(metadata?.[name] ?? []).toString();
}

const ivBytes = 12;
const tagBytes = 16;

/** The nonce, the text, its tag. The id of the key is authenticated too. */
function encrypted(payload: Payload, id: string, key: Buffer): Payload {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(utf8(id));
  const plain = proto.temporal.api.common.v1.Payload.encode(payload).finish();
  const data = Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: utf8(encoding), [keyIdName]: utf8(id) }, data };
}

function decrypted({ data }: Payload, id: string, key: Buffer): Payload {
  const whole = Buffer.from(data ?? []);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, whole.subarray(0, ivBytes))
      .setAAD(utf8(id))
      .setAuthTag(whole.subarray(-tagBytes));
    const plain = Buffer.concat([decipher.update(whole.subarray(ivBytes, -tagBytes)), decipher.final()]);
    return proto.temporal.api.common.v1.Payload.decode(plain);
  } catch (error) {
    throw new Undecipherable(
      `a payload that names the key ${id} was not encrypted with it, or was changed since.`,
      { cause: error },
    );
  }
}

/** The module that converts failures, for the bundle of workflows too. */
export const failureConverterPath = path.join(
  import.meta.dirname,
  `../workflow/failure-converter${path.extname(import.meta.filename)}`,
);

/** Put before the code of workflows, makes their failures' messages encrypted. */
export const encodeFailures = 'globalThis.keystrideEncodesFailures = true;\n';

/** How values become what Temporal keeps, and back; with keys, messages of failures too. */
export function dataConverterOf(settings: EncryptionSettings | undefined): DataConverter {
  if (settings) Object.assign(globalThis, { keystrideEncodesFailures: true });
  return { payloadCodecs: [new EncryptionCodec(settings)], failureConverterPath };
}
