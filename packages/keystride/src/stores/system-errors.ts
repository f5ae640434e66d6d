import { isIP } from 'node:net';
import { constants } from 'node:os';

/** What a look-up of a name may say, besides the codes of the system. */
const ofNames: readonly string[] = ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NONAME', 'ENODATA'];

/**
 * What an error of the system says: the call that failed, its code, and an address by number. A path or a host name may
 * come from a row, and is left out.
 *
 * @returns undefined for an error that is not the system's.
 */
export function systemMessage(error: Error): string | undefined {
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & {
    readonly address?: unknown;
    readonly port?: unknown;
  };
  if (typeof code !== 'string' || !(Object.hasOwn(constants.errno, code) || ofNames.includes(code)))
    return undefined;
  const called = typeof syscall === 'string' && /^[a-z]{2,20}$/iu.test(syscall) ? `${syscall} ` : '';
  const at = typeof address === 'string' && isIP(address) ? ` ${address}` : '';
  return `${called}${code}${at}${at !== '' && typeof port === 'number' ? `:${port}` : ''}`;
}
