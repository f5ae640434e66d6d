import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** Whether two secrets are alike, in a time that tells nothing of where they differ. */
export function isSameSecret(one: string, other: string): boolean {
  const key = randomBytes(32);
  const digest = (text: string) => createHmac('sha256', key).update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

/** Texts that browsers keep for us and cannot change. The key lives as long as the console. */
export class Seal {
  readonly #key = randomBytes(32);

  /** What proves that we said it, of this purpose. */
  proof(purpose: string, text: string): string {
    return createHmac('sha256', this.#key).update(`${purpose}\n${text}`).digest('base64url');
  }

  close(purpose: string, text: string): string {
    return `${Buffer.from(text).toString('base64url')}.${this.proof(purpose, text)}`;
  }

  /** @returns undefined for what this console has not sealed for this purpose */
  open(purpose: string, sealed: string | undefined): string | undefined {
    const [encoded = '', proof = ''] = sealed?.split('.') ?? [];
    const text = Buffer.from(encoded, 'base64url').toString();
    return sealed !== undefined && isSameSecret(proof, this.proof(purpose, text)) ? text : undefined;
  }
}
