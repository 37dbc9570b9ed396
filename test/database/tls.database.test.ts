import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { connect, withConnection } from '../../src/database/connect.ts';
import { isTransient } from '../../src/database/connection-error.ts';
import { Pool } from '../../src/database/pool.ts';
import type { TlsMode } from '../../src/database/tls.ts';
import { issueCertificate, makeAuthority, makeKeyFolder } from '../helpers/certificates.ts';
import { startTailing } from '../helpers/daemon.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: nothing goes over a network in plain text, or to a server other than the intended one, unless
the user has asked for it.
Method: a server with self-made certificates, and a network that lies. The name 127.1 denotes this
machine, but does not look like a loopback address, so it stands for a remote host.
*/

const keys = makeKeyFolder();
const authority = makeAuthority(keys.folder, 'authority');
const stranger = makeAuthority(keys.folder, 'stranger');
const server = { folder: keys.folder, name: 'server' };
const { cert, key } = issueCertificate(authority, { ...server, hosts: 'DNS:localhost' });
const database = useIsolatedServer({
  ssl: 'on',
  ssl_cert_file: cert,
  ssl_key_file: key,
  ssl_ca_file: authority,
});

afterAll(keys.remove);

/** The connection string with another host name and these parameters. */
function urlOf(hostname: string, parameters: Record<string, string> = {}): string {
  const url = new URL(database.url);
  url.hostname = hostname;
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

const known = { sslrootcert: authority };

/** What the server knows about a new connection. */
async function seenBy(url: string, tls: TlsMode | null = null) {
  return withConnection({ url, tls }, async (client) => {
    const { rows } = await client.query(
      'select ssl, client_dn from pg_stat_ssl where pid = pg_backend_pid()',
    );
    return rows[0];
  });
}

/** The reason for a failed connection, without the server and database that begin the sentence. */
async function refusal(url: string, tls: TlsMode | null = null): Promise<string> {
  const error = await connect({ url, tls }).then(
    async (client) => {
      await client.end();
      throw new Error('it connected');
    },
    (thrown: Error) => thrown,
  );
  expect(error).toMatchObject({ name: 'PgwatchError', code: 'connection_failed' });
  expect(isTransient(error)).toBe(false);
  expect(error.message).toMatch(
    /^Cannot connect to \S+:\d+, database "postgres", user "postgres": /,
  );
  return error.message.replace(/^.*?": (?=its|it )/, '');
}

const UNKNOWN =
  'its certificate is from an authority that is not trusted here. Set sslrootcert in the ' +
  "connection string, or NODE_EXTRA_CA_CERTS, to the file with that authority's certificate.";
const PLAIN =
  'it does not offer TLS. Enable TLS on the server, or, if the network is trusted, ' +
  "set tls: 'off' or sslmode=disable.";

test('a connection is verified, only encrypted, or plain, as requested', async () => {
  expect(await seenBy(urlOf('localhost', known))).toMatchObject({ ssl: true });
  expect(await seenBy(urlOf('localhost', known), 'verify')).toMatchObject({ ssl: true });
  expect(await seenBy(urlOf('127.1'), 'no-verify')).toMatchObject({ ssl: true });
  expect(await seenBy(urlOf('127.1', { sslmode: 'no-verify' }))).toMatchObject({ ssl: true });
  expect(await seenBy(urlOf('127.1', { sslmode: 'disable' }))).toMatchObject({ ssl: false });
  expect(await seenBy(urlOf('127.1', known), 'off')).toMatchObject({ ssl: false });
  expect(await seenBy(urlOf('localhost'))).toMatchObject({ ssl: false });
});

test('a remote host is verified by default, and PGSSLMODE is respected', async () => {
  expect(await refusal(urlOf('127.1'))).toBe(UNKNOWN);
  vi.stubEnv('PGSSLMODE', 'disable');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(await seenBy(urlOf('127.1'))).toMatchObject({ ssl: false });
});

test('libpq modes that would accept any server are verified', async () => {
  for (const sslmode of ['prefer', 'require', 'verify-ca']) {
    expect(await refusal(urlOf('localhost', { sslmode }))).toBe(UNKNOWN);
  }
});

test('a certificate from an untrusted authority is refused', async () => {
  expect(await refusal(urlOf('localhost', { sslrootcert: stranger }))).toBe(UNKNOWN);
  expect(await refusal(urlOf('localhost'), 'verify')).toBe(UNKNOWN);
});

test('a certificate for another host is refused', async () => {
  expect(await refusal(urlOf('127.0.0.1', known))).toBe(
    'its certificate is for DNS:localhost, not for "127.0.0.1". Connect with a name in the ' +
      'certificate, or give the server a certificate for "127.0.0.1".',
  );
});

test('an expired certificate is refused', async () => {
  issueCertificate(authority, { ...server, hosts: 'DNS:localhost', days: -1 });
  await database.query('select pg_reload_conf()');
  onTestFinished(async () => {
    issueCertificate(authority, { ...server, hosts: 'DNS:localhost' });
    await database.query('select pg_reload_conf()');
    await until('the server has the new one', () =>
      seenBy(urlOf('localhost', known)).then(({ ssl }) => ssl, String),
    );
  });
  await until('the server has the old one', () =>
    seenBy(urlOf('localhost', known)).then(
      () => 'it still has a good one',
      () => true,
    ),
  );
  expect(await refusal(urlOf('localhost', known))).toBe(
    'its certificate has expired. Renew it on the server.',
  );
});

test('a client certificate is sent to the server', async () => {
  const own = issueCertificate(authority, { ...server, name: 'daemon', hosts: 'DNS:daemon' });
  const parameters = { ...known, sslcert: own.cert, sslkey: own.key };
  expect(await seenBy(urlOf('localhost', parameters))).toMatchObject({ client_dn: '/CN=daemon' });
});

test('a network that strips TLS receives only the request for it', async () => {
  const bytes: Buffer[] = [];
  const liar = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      bytes.push(chunk);
      socket.write('N');
    });
  });
  liar.listen(0, '127.0.0.1');
  await once(liar, 'listening');
  onTestFinished(() => void liar.close());
  const url = new URL(urlOf('localhost', known));
  url.port = String((liar.address() as AddressInfo).port);
  expect(await refusal(url.href)).toBe(PLAIN);
  const pool = new Pool({ url: url.href, size: 1 });
  await expect(pool.query('select 1')).rejects.toThrow(PLAIN);
  await pool.close();
  // A request for TLS has eight bytes. A user name would come next.
  expect(Buffer.concat(bytes)).toHaveLength(16);
});

test('every connection of a daemon is encrypted', async () => {
  const url = urlOf('localhost', known);
  const daemon = await startTailing({ ...database.config, url }, [
    { id: 'c', channels: ['c'], handle: async (_, { db }) => void (await db.query('select 1')) },
  ]);
  await database.query(`select smart_notify('c')`);
  await daemon.transitions.for({ type: 'position_saved' });
  const { rows } = await database.query(
    `select application_name, bool_and(ssl) as is_encrypted
     from pg_stat_activity join pg_stat_ssl using (pid)
     where application_name like 'pgwatch%' group by application_name order by 1`,
  );
  await daemon.stop();
  expect(rows).toEqual([
    { application_name: 'pgwatch', is_encrypted: true },
    { application_name: 'pgwatch control', is_encrypted: true },
  ]);
});
