import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverUser } from '../../src/embedded/binaries.ts';

/** A folder for the files of certificates and keys, which the server can read. */
export function makeKeyFolder(): { folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-keys-'));
  giveToServer(folder, 0o700);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Creates an authority of that name. Returns the file of its certificate; its key is beside it. */
export function makeAuthority(folder: string, name: string): string {
  const [file, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  openssl('req', '-x509', ...NEW_KEY, '-keyout', key, '-out', file, '-days', '2', ...subject(name));
  return file;
}

/**
 * Writes FOLDER/NAME.crt and .key, issued by the authority, and replaces existing ones.
 * @param days negative: the certificate has already expired
 */
export function issueCertificate(
  authority: string,
  { folder, name, hosts, days = 2 }: { folder: string; name: string; hosts: string; days?: number },
): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)];
  writeFileSync(extensions, `subjectAltName=${hosts}\n`);
  openssl('req', ...NEW_KEY, '-keyout', key, '-out', request, ...subject(name));
  const signer = ['-CA', authority, '-CAkey', authority.replace(/crt$/, 'key'), '-CAcreateserial'];
  const output = ['-out', cert, '-days', String(days), '-extfile', extensions];
  openssl('x509', '-req', '-in', request, ...signer, ...output);
  giveToServer(key, 0o600);
  return { cert, key };
}

function giveToServer(path: string, mode: number): void {
  const { uid, gid } = serverUser();
  chmodSync(path, mode);
  if (uid !== undefined) chownSync(path, uid, gid ?? uid);
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const subject = (name: string) => ['-subj', `/CN=${name}`];
