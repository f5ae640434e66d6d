import tls from 'node:tls';
import { causesOf, codeOf } from '../stores/causes.ts';
import { untrusted } from '../stores/untrusted.ts';
import type { TemporalConfig } from '../settings/temporal-settings.ts';

/** Why Temporal could not be used, in words, and what helps. */
export interface TemporalProblem {
  readonly what: string;
  readonly todo: string;
}

/** How long a server may take to say something after TLS, in milliseconds. */
const patienceMs = 3_000;

/** What an unasked end of the connection, right after TLS, has for a code. */
const endedUnasked = 'ERR_SSL_ENDED_UNASKED';

/**
 * Why TLS with a server does not come about: the clients of Temporal's SDK do not say, or only in words.
 *
 * @returns the error of a handshake of our own; undefined where that went well, or no TLS is asked for
 */
export async function tlsFailure({ connectionOptions }: TemporalConfig): Promise<Error | undefined> {
  const { address, tls: asked } = connectionOptions;
  if (!asked) return undefined;
  const [, host = '', port] = /^\[?(.*?)\]?:(\d+)$/u.exec(address) ?? [];
  const { serverNameOverride, serverRootCACertificate: ca, clientCertPair } = asked === true ? {} : asked;
  const socket = tls.connect({
    ...{ host, port: Number(port), servername: serverNameOverride ?? host, ALPNProtocols: ['h2'] },
    ...(ca && { ca: Buffer.from(ca) }),
    ...(clientCertPair && { cert: Buffer.from(clientCertPair.crt), key: Buffer.from(clientCertPair.key) }),
  });
  socket.setTimeout(patienceMs, () => socket.destroy());
  try {
    return await new Promise<Error | undefined>((resolve) => {
      let secured = false;
      socket.once('secureConnect', () => (secured = true));
      // It has let us in once it begins to speak.
      socket.once('data', () => resolve(undefined));
      socket.once('error', (error) => resolve(error));
      socket.once('close', () =>
        resolve(secured ? Object.assign(new Error('ended unasked'), { code: endedUnasked }) : undefined),
      );
    });
  } finally {
    socket.destroy();
  }
}

const unknownToServer: TemporalProblem = {
  what: 'Temporal asks for a certificate that it knows, and gets none of that kind',
  todo: 'Set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH, or renew what they name.',
};

const problems: Readonly<Record<string, TemporalProblem>> = {
  ...Object.fromEntries(
    untrusted.map((code) => [
      code,
      {
        what: `the certificate of Temporal is signed by nobody whom this machine was told to trust (${code})`,
        todo: 'Give the CA that has signed it: TEMPORAL_TLS_SERVER_CA_CERT_PATH.',
      },
    ]),
  ),
  CERT_HAS_EXPIRED: {
    what: 'the certificate of Temporal has expired',
    todo: 'Let the server have a new one.',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    what: 'the certificate of Temporal is for another host name',
    todo: 'Name the host in TEMPORAL_ADDRESS as the certificate does, or set TEMPORAL_TLS_SERVER_NAME.',
  },
  ERR_SSL_WRONG_VERSION_NUMBER: {
    what: 'what answers for Temporal speaks no TLS',
    todo: 'Correct TEMPORAL_ADDRESS, or set TEMPORAL_TLS=false for a server without it.',
  },
  [endedUnasked]: unknownToServer,
};

const refusesKey: TemporalProblem = {
  what: 'Temporal does not let us in: it refuses the API key, or gets none',
  todo: 'Set TEMPORAL_API_KEY, or TEMPORAL_API_KEY_FILE where keys are replaced, to a key for TEMPORAL_NAMESPACE.',
};

const noNamespace: TemporalProblem = {
  what: 'Temporal has no such namespace',
  todo: 'Correct TEMPORAL_NAMESPACE, or make it: temporal operator namespace create.',
};

/** What was raised while somebody connected; undefined for what says no more than that nobody answers. */
export function temporalProblemOf(error: unknown): TemporalProblem | undefined {
  const code = codeOf(error);
  if (problems[code]) return problems[code];
  if (/^ERR_SSL\w*_ALERT_/u.test(code)) return unknownToServer;
  const told = causesOf(error).map(String).join('\n');
  if (/namespace \S+ is not found/iu.test(told)) return noNamespace;
  return /unauthenticated|permission.?denied|request unauthorized/iu.test(told) ? refusesKey : undefined;
}
