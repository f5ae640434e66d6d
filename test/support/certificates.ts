import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chownSync, copyFileSync, chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { x509 } from './x509.ts';

/** A certificate and its key, as files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Who signs certificates. */
export interface Authority extends Certificate {
  /**
   * @param name whom it is of: a role of PostgreSQL, say
   * @param options.hosts whom it is for, as `DNS:localhost` or `IP:127.0.0.1`
   * @param options.days how long it is valid; what is below nothing has expired
   */
  sign(name: string, options?: { readonly hosts?: readonly string[]; readonly days?: number }): Certificate;
}

/** A directory of certificates that are made here, and gone when it is removed. */
export class Certificates {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'keystride-certificates-'));

  authority(name: string): Authority {
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const issuer = { name, privateKey: own.privateKey };
    return {
      ...this.#write(name, own.privateKey, x509({ ...own, name, issuer, days: 2 })),
      sign: (subject, { hosts = ['DNS:localhost', 'IP:127.0.0.1'], days = 1 } = {}) => {
        const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const certificate = x509({ ...keys, name: subject, issuer, days, hosts });
        return this.#write(`${subject}-${crypto.randomUUID()}`, keys.privateKey, certificate);
      },
    };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #write(name: string, privateKey: KeyObject, certificate: string): Certificate {
    const files = {
      cert: path.join(this.directory, `${name}.crt`),
      key: path.join(this.directory, `${name}.key`),
    };
    writeFileSync(files.cert, certificate);
    writeFileSync(files.key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    return files;
  }
}

/**
 * Gives a PostgreSQL server of our own a certificate, and lets those of a CA in by theirs. Connections that are there
 * stay as they are.
 */
export async function encrypt(
  superuser: pg.Client | pg.Pool,
  { cert, key }: Certificate,
  authority: Certificate,
): Promise<void> {
  const { rows } = await superuser.query<{ data_directory: string }>('SHOW data_directory');
  const directory = rows[0]?.data_directory ?? '';
  const { uid, gid } = statSync(directory);
  const files = { ssl_cert_file: cert, ssl_key_file: key, ssl_ca_file: authority.cert };
  for (const [setting, from] of Object.entries(files)) {
    const file = path.join(directory, `${setting}.pem`);
    copyFileSync(from, file);
    chmodSync(file, 0o600);
    chownSync(file, uid, gid);
    await superuser.query(`ALTER SYSTEM SET ${setting} = '${file}'`);
  }
  await superuser.query('ALTER SYSTEM SET ssl = on');
  await superuser.query('SELECT pg_reload_conf()');
}
