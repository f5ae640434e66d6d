import { execFileSync } from 'node:child_process';
import { chownSync, copyFileSync, chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';

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

/** A directory of certificates that are made here, by openssl, and gone when it is removed. */
export class Certificates {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'keystride-certificates-'));

  authority(name: string): Authority {
    const own = this.#files(name);
    const request = ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    openssl([...request, '-days', '2', '-subj', `/CN=${name}`, '-keyout', own.key, '-out', own.cert]);
    return { ...own, sign: (subject, options) => this.#sign(own, subject, options) };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #sign(
    { cert, key }: Certificate,
    name: string,
    { hosts = ['DNS:localhost', 'IP:127.0.0.1'], days = 1 }: Parameters<Authority['sign']>[1] = {},
  ): Certificate {
    const own = this.#files(`${name}-${crypto.randomUUID()}`);
    const request = `${own.cert}.request`;
    const extensions = `${own.cert}.extensions`;
    writeFileSync(extensions, `subjectAltName=${hosts.join(',')}\n`);
    const made = ['req', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    openssl([...made, '-subj', `/CN=${name}`, '-keyout', own.key, '-out', request]);
    const signed = ['x509', '-req', '-in', request, '-CA', cert, '-CAkey', key, '-days', String(days)];
    openssl([...signed, '-set_serial', String(Date.now()), '-extfile', extensions, '-out', own.cert]);
    return own;
  }

  #files(name: string): Certificate {
    return {
      cert: path.join(this.directory, `${name}.crt`),
      key: path.join(this.directory, `${name}.key`),
    };
  }
}

function openssl(words: readonly string[]): void {
  execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] });
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
