import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type net from 'node:net';
import type { Authority, Certificate } from './certificates.ts';

/** What stands before a Temporal server and asks whoever comes for a certificate. */
export interface TemporalFront {
  readonly address: string;
  close(): void;
}

/**
 * Ends TLS before the development server, which knows none: a proxy of gRPC, as it stands before many servers.
 *
 * @param clients whose certificates are asked for
 */
export async function startTemporalFront(
  temporalAddress: string,
  { cert, key }: Certificate,
  clients: Pick<Authority, 'cert'>,
): Promise<TemporalFront> {
  const server = http2.createSecureServer({
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...{ ca: readFileSync(clients.cert), requestCert: true, rejectUnauthorized: true },
  });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    const behind = http2.connect(`http://${temporalAddress}`);
    behind.on('error', () => session.destroy());
    session.on('error', () => undefined);
    session.on('close', () => {
      sessions.delete(session);
      behind.destroy();
    });
    session.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      passOn(stream, behind.request({ ...headers, ':authority': temporalAddress }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `localhost:${(server.address() as net.AddressInfo).port}`,
    close: () => {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

function passOn(near: http2.ServerHttp2Stream, far: http2.ClientHttp2Stream): void {
  let trailers: http2.IncomingHttpHeaders = {};
  far.on('error', () => near.destroy());
  near.on('close', () => far.close());
  far.on('trailers', (sent) => (trailers = sent));
  far.on('response', (headers, flags) => {
    const isAll = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (!near.destroyed) near.respond(headers, isAll ? { endStream: true } : { waitForTrailers: true });
  });
  near.on('wantTrailers', () => near.sendTrailers(trailers));
  near.pipe(far);
  far.pipe(near);
}
