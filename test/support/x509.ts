import { type KeyObject, randomBytes, sign } from 'node:crypto';

/** What a certificate says. */
interface Statement {
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly issuer: { readonly name: string; readonly privateKey: KeyObject };
  /** How long it is valid; what is below nothing has expired. */
  readonly days: number;
  /** Whom it is for, as `DNS:localhost` or `IP:127.0.0.1`; without them it is one that signs others. */
  readonly hosts?: readonly string[];
}

const day = 86_400_000;

/**
 * A certificate as PEM, of a key on P-256. Node makes none, and a program that does is not on every machine; the
 * libraries for it bring some twenty packages.
 */
export function x509({ name, publicKey, issuer, days, hosts }: Statement): string {
  const extension = hosts
    ? sequence(oid.subjectAltName, octets(sequence(...hosts.map(generalName))))
    : sequence(oid.basicConstraints, yes, octets(sequence(yes)));
  const statement = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
    sequence(oid.ecdsaWithSha256),
    distinguished(issuer.name),
    sequence(utcTime(Date.now() - 3 * day), utcTime(Date.now() + days * day)),
    distinguished(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension)),
  );
  const signature = Buffer.concat([Buffer.of(0), sign('sha256', statement, issuer.privateKey)]);
  const certificate = sequence(statement, sequence(oid.ecdsaWithSha256), der(0x03, signature));
  const lines = certificate.toString('base64').match(/.{1,64}/gu) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** A value of ASN.1 in its distinguished encoding: tag, length, contents. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const long =
    length < 0x80 ? [length] : length < 0x1_00 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...long), content]);
}

const oid = {
  ecdsaWithSha256: Buffer.from('06082a8648ce3d040302', 'hex'),
  commonName: Buffer.from('0603550403', 'hex'),
  subjectAltName: Buffer.from('0603551d11', 'hex'),
  basicConstraints: Buffer.from('0603551d13', 'hex'),
};

const yes = Buffer.from('0101ff', 'hex');

const sequence = (...contents: readonly Uint8Array[]) => der(0x30, ...contents);
const octets = (content: Uint8Array) => der(0x04, content);
const integer = (content: Uint8Array) => der(0x02, content);

function distinguished(name: string): Buffer {
  return sequence(der(0x31, sequence(oid.commonName, der(0x0c, Buffer.from(name)))));
}

function utcTime(at: number): Buffer {
  const digits = new Date(at).toISOString().replaceAll(/\D/gu, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function generalName(host: string): Buffer {
  const [kind, value = ''] = host.split(':');
  return kind === 'IP' ? der(0x87, Buffer.from(value.split('.').map(Number))) : der(0x82, Buffer.from(value));
}
