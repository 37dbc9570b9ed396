import { expect, test, vi } from 'vitest';
import { type TlsMode, tlsConfig, tlsModeOf } from '../../src/database/tls.ts';

/** The mode for a host, the parameters of a connection string, the config and PGSSLMODE. */
function modeFor(host: string, query = '', tls: TlsMode | null = null, variable = ''): TlsMode {
  vi.stubEnv('PGSSLMODE', variable);
  const mode = tlsModeOf({ host, parameters: new URLSearchParams(query), tls });
  vi.unstubAllEnvs();
  return mode;
}

test.each([
  ['localhost', 'off'],
  ['127.0.0.1', 'off'],
  ['127.255.3.9', 'off'],
  ['::1', 'off'],
  ['/var/run/postgresql', 'off'],
  ['db', 'verify'],
  ['db.example.com', 'verify'],
  ['localhost.example.com', 'verify'],
  ['127.0.0.1.example.com', 'verify'],
  ['128.0.0.1', 'verify'],
  ['10.0.0.7', 'verify'],
  ['0.0.0.0', 'verify'],
  ['fe80::1', 'verify'],
  ['', 'verify'],
] as const)('by default, host "%s" is %s', (host, mode) => {
  expect(modeFor(host)).toBe(mode);
});

test.each([
  ['sslmode=disable', 'off'],
  ['sslmode=no-verify', 'no-verify'],
  ['sslmode=allow', 'verify'],
  ['sslmode=prefer', 'verify'],
  ['sslmode=require', 'verify'],
  ['sslmode=require&uselibpqcompat=true', 'verify'],
  ['sslmode=verify-ca', 'verify'],
  ['sslmode=verify-full', 'verify'],
  ['sslmode=of', 'verify'],
  ['sslmode=', 'verify'],
  ['ssl=true', 'verify'],
  ['ssl=no-verify', 'no-verify'],
  ['ssl=0', 'off'],
  ['sslrootcert=ca.crt', 'verify'],
] as const)('in a connection string, %s is %s', (query, mode) => {
  expect(modeFor('db', query)).toBe(mode);
});

test('the config beats the connection string, which beats PGSSLMODE, which beats the host', () => {
  expect(modeFor('localhost', '', null, 'require')).toBe('verify');
  expect(modeFor('db', '', null, 'disable')).toBe('off');
  expect(modeFor('db', 'sslmode=require', null, 'disable')).toBe('verify');
  expect(modeFor('localhost', 'sslrootcert=ca.crt', null, 'disable')).toBe('verify');
  expect(modeFor('db', 'sslmode=disable', 'verify')).toBe('verify');
  expect(modeFor('localhost', 'sslmode=verify-full', 'off')).toBe('off');
  expect(modeFor('/tmp', 'sslmode=require', 'verify', 'require')).toBe('off');
});

test('no environment variable weakens a verified connection', () => {
  for (const name of ['NODE_TLS_REJECT_UNAUTHORIZED', 'PGSSLMODE']) vi.stubEnv(name, '0');
  const wish = { host: 'db', parameters: new URLSearchParams(), tls: 'verify' } as const;
  expect(tlsConfig(wish).ssl).toMatchObject({ rejectUnauthorized: true });
  vi.unstubAllEnvs();
});

test('a missing file is reported together with the parameter that names it', () => {
  const parameters = new URLSearchParams('sslrootcert=/nowhere/ca.crt');
  expect(() => tlsConfig({ host: 'db', parameters, tls: null })).toThrow(
    expect.objectContaining({
      code: 'config_invalid',
      message: 'The file /nowhere/ca.crt, named by sslrootcert, does not exist.',
    }),
  );
});
