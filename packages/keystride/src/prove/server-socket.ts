import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import tls from 'node:tls';
import { readAddress } from '../stores/postgres/address.ts';

/** What a client of PostgreSQL sends first when it wants to speak in secret. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * Connects to the first host of an address, encrypted and checked as its address asks, so that what a client says in plain
 * can be listened to on its way.
 */
export async function connectServer(url: string): Promise<Socket> {
  const [[{ host, port, ssl }, ...others]] = readAddress(url).hosts;
  const plain = connect({ host, port, noDelay: true });
  try {
    await once(plain, 'connect');
    if (!ssl) return plain;
    plain.write(sslRequest);
    const [answer] = (await once(plain, 'data')) as [Buffer];
    // `prefer` goes without where the server has none.
    if (answer.toString() !== 'S' && others.some((way) => !way.ssl)) return plain;
    const named = isIP(host) === 0 ? { servername: host } : {};
    const secure = tls.connect({ ...ssl, socket: plain, host, ...named });
    await once(secure, 'secureConnect');
    return secure;
  } catch (error) {
    plain.destroy();
    throw error;
  }
}

/** The address as it is for who connects to it without encryption. */
export function inPlain(url: URL): URL {
  const plain = new URL(url);
  for (const name of [...plain.searchParams.keys()])
    if (/^(ssl|channel_binding$)/u.test(name)) plain.searchParams.delete(name);
  plain.searchParams.set('sslmode', 'disable');
  return plain;
}
