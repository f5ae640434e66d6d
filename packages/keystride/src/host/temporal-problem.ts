import { causesOf } from '../stores/safe-message.ts';

/** Why Temporal could not be used, in words, and what helps. */
export interface TemporalProblem {
  readonly what: string;
  readonly todo: string;
}

/** By what the two clients of Temporal's SDK say, which has no codes: gRPC in JavaScript, and tonic with rustls. */
const known: readonly { readonly says: RegExp; readonly is: TemporalProblem }[] = [
  {
    says: /certificate has expired|invalid peer certificate: Expired|certificate expired/iu,
    is: {
      what: 'the certificate of Temporal, or the one that is shown to it, has expired',
      todo: 'Let the server have a new certificate, or renew that of TEMPORAL_TLS_CLIENT_CERT_PATH.',
    },
  },
  {
    says: /altnames|Hostname\/IP does not match|NotValidForName|not valid for name/iu,
    is: {
      what: 'the certificate of Temporal is for another host name',
      todo: 'Name the host in TEMPORAL_ADDRESS as the certificate does, or set TEMPORAL_TLS_SERVER_NAME.',
    },
  },
  {
    says: /UnknownIssuer|self.signed certificate|unable to (verify|get)[\w ]* (certificate|issuer)/iu,
    is: {
      what: 'the certificate of Temporal is signed by nobody whom this machine was told to trust',
      todo: 'Give the CA that has signed it: TEMPORAL_TLS_SERVER_CA_CERT_PATH.',
    },
  },
  {
    says: /certificate.?required|alert number 116|received fatal alert: (BadCertificate|UnknownCA|DecryptError|CertificateUnknown)|unknown ca|peer did not return a certificate/iu,
    is: {
      what: 'Temporal asks for a certificate that it knows, and gets none of that kind',
      todo: 'Set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH.',
    },
  },
  {
    says: /unauthenticated|permission.?denied|request unauthorized/iu,
    is: {
      what: 'Temporal does not let us in: it refuses the API key, or gets none',
      todo: 'Set TEMPORAL_API_KEY, or TEMPORAL_API_KEY_FILE where keys are replaced.',
    },
  },
];

/** What a client of Temporal has raised while it connected; undefined for what says no more than that nobody answers. */
export function temporalProblemOf(error: unknown): TemporalProblem | undefined {
  const told = [...causesOf(error)].map((cause) => String(cause)).join('\n');
  return known.find(({ says }) => says.test(told))?.is;
}
