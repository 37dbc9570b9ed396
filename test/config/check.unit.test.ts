import { expect, test } from 'vitest';
import { checkOptions, OPTION_NAMES } from '../../src/config/check.ts';

const check = (options: Record<string, unknown>) =>
  checkOptions({ options, nameOf: (name) => `here: ${name}` });

test.each([
  ['url', 'postgres://me:p%23@host:5432/db?sslmode=require'],
  ['url', 'postgresql://host/db'],
  ['url', 'postgres:///db?host=/var/run/postgresql'],
  ['url', 'postgres://me@/db'],
  ['url', 'postgres://[::1]:5432/db'],
  ['url', 'postgres://me:p@host/odd%40name'],
  ['schema', 'Watch "it" 🔔'],
  ['apiSchema', 'x'.repeat(63)],
  ['partition', 'hour'],
  ['consumers', './src/consumers'],
])('%s may be %j', (name, value) => {
  expect(check({ [name]: value })).toEqual({ [name]: value });
});

test.each([
  ['pollInterval', '5s', { pollIntervalMs: 5000 }],
  ['pollInterval', 250, { pollIntervalMs: 250 }],
  ['shutdownTimeout', 0, { shutdownTimeoutMs: 0 }],
  ['retention', '90d', { retentionMs: 7_776_000_000 }],
  ['maxBatchBytes', '4MB', { maxBatchBytes: 4 * 1024 * 1024 }],
  ['maxBatchBytes', '64 kb', { maxBatchBytes: 65_536 }],
  ['maxBatchBytes', '100', { maxBatchBytes: 100 }],
  ['poolSize', '20', { poolSize: 20 }],
  [
    'roles',
    { read: ['Ann Lee'] },
    { roles: { publish: [], consume: [], read: ['Ann Lee'], capture: [] } },
  ],
])('%s accepts %j', (name, value, expected) => {
  expect(check({ [name]: value })).toEqual(expected);
});

test.each([
  ['url', ''],
  ['url', 5],
  ['url', 'localhost'],
  ['url', 'postgres://me:a/b@host/db'],
  ['url', 'postgres://me:a#b@host/db'],
  ['url', 'postgres://host:99999/db'],
  ['schema', ''],
  ['schema', 'x'.repeat(64)],
  ['schema', 'é'.repeat(32)],
  ['schema', 'a\0b'],
  ['schema', 'a$$b'],
  ['schema', '\ud83d'],
  ['schema', 'pg_watch'],
  ['partition', 'week'],
  ['partitionsAhead', 0],
  ['partitionsAhead', 1.5],
  ['pollInterval', '9ms'],
  ['pollInterval', '30d'],
  ['pollInterval', 'soon'],
  ['retention', 0],
  ['retention', '40000d'],
  ['maxBatchSize', 10_001],
  ['maxBatchSize', ''],
  ['maxBatchSize', '1e9'],
  ['maxBatchSize', true],
  ['maxBatchBytes', 0],
  ['maxBatchBytes', '4 apples'],
  ['poolSize', 1],
  ['consumers', ''],
  ['roles', ['a']],
  ['roles', { publish: 'a' }],
  ['roles', { writers: ['a'] }],
  ['roles', { read: [''] }],
  ['roles', { read: ['public'] }],
  ['roles', { __proto__: null, toString: ['a'] }],
])('%s: %j is refused, by its name', (name, value) => {
  expect(() => check({ [name]: value })).toThrow(
    expect.objectContaining({
      code: 'config_invalid',
      message: expect.stringMatching(new RegExp(`^here: ${name} must be .+\\.$`, 's')),
    }),
  );
});

test('the contents of a connection string are never shown', () => {
  for (const name of ['url', 'directUrl']) {
    expect(() => check({ [name]: 'c4nary' })).not.toThrow('c4nary');
    expect(() => check({ [name]: 'c4nary' })).toThrow('must be a URL like');
  }
});

test.each(['constructor', '__proto__', 'toString'])('%s is not an option', (name) => {
  const options = JSON.parse(`{"${name}": 1}`);
  expect(() => check(options)).toThrow(`here: ${name} is not an option.`);
});

test('undefined counts as not given', () => {
  const options = Object.fromEntries(OPTION_NAMES.map((name) => [name, undefined]));
  expect(check(options)).toEqual({});
});
