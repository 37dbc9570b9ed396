import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OPTION_NAMES } from '../../src/config/check.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makeProject } from '../helpers/project.ts';

test('without settings, everything has its default, and the config is frozen', async () => {
  const folder = makeProject({});
  const config = await loadConfig({ folder, environment: {} });
  expect(config).toEqual({
    url: null,
    directUrl: null,
    client: null,
    tls: null,
    schema: 'pgwatch',
    apiSchema: 'public',
    roles: { publish: [], consume: [], read: [], capture: [] },
    triggers: null,
    consumers: join(folder, 'consumers'),
    partition: 'day',
    partitionsAhead: 3,
    retentionMs: null,
    pollIntervalMs: 5000,
    reconnectDelayMs: 500,
    heartbeatIntervalMs: 5000,
    heartbeatDeadlineMs: 5000,
    maxBatchSize: 500,
    maxBatchBytes: 4 * 1024 * 1024,
    poolSize: 10,
    shutdownTimeoutMs: 30_000,
    around: null,
    onDead: null,
    file: null,
  });
  expect(Object.isFrozen(config) && Object.isFrozen(config.roles)).toBe(true);
  expect(Object.keys(config)).toHaveLength(OPTION_NAMES.length + 2);
});

test('flags beat the environment, which beats the file, which beats the defaults', async () => {
  const folder = makeProject({
    'pgwatch.config.ts': `const poolSize: number = 11;
      export default { poolSize, maxBatchSize: 12, partitionsAhead: 13, schema: 'from_file' };`,
  });
  const config = await loadConfig({
    folder,
    environment: { PGWATCH_MAX_BATCH_SIZE: '22', PGWATCH_PARTITIONS_AHEAD: '23' },
    flags: { partitionsAhead: 33, schema: undefined },
  });
  expect(config).toMatchObject({
    poolSize: 11,
    maxBatchSize: 22,
    partitionsAhead: 33,
    schema: 'from_file',
    partition: 'day',
    file: join(folder, 'pgwatch.config.ts'),
  });
});

test('PGWATCH_URL beats DATABASE_URL, which beats the file', async () => {
  const folder = makeProject({
    'pgwatch.config.json': '{ "url": "postgres://file/db" }',
  });
  const urlWith = async (environment: Record<string, string>) =>
    (await loadConfig({ folder, environment })).url;
  const [database, own] = ['postgres://database/db', 'postgres://own/db'];
  expect(await urlWith({})).toBe('postgres://file/db');
  expect(await urlWith({ DATABASE_URL: database })).toBe(database);
  expect(await urlWith({ DATABASE_URL: database, PGWATCH_URL: own })).toBe(own);
  expect(await urlWith({ DATABASE_URL: '', PGWATCH_URL: '' })).toBe('postgres://file/db');
});

test.each([
  ['day', '23h', '1d'],
  ['hour', '59m', '1h'],
])('retention is at least one partition: a %s', async (partition, retention, least) => {
  const load = (shown: string) =>
    loadConfig({
      folder: makeProject({}),
      environment: {},
      flags: { partition, retention: shown },
    });
  await expect(load(retention)).rejects.toThrow(`retention must be at least '${least}'`);
  expect((await load(least)).retentionMs).toBeGreaterThan(0);
});

test.each([
  ['PGWATCH_POL_INTERVAL', 'PGWATCH_POLL_INTERVAL'],
  ['PGWATCH_CONSUMER', 'PGWATCH_CONSUMERS'],
  ['PGWATCH_POOLSIZE', 'PGWATCH_POOL_SIZE'],
  ['PGWATCH_DATABASE_URL', 'DATABASE_URL'],
])('a misspelt variable is refused: %s', async (variable, meant) => {
  const loading = loadConfig({ environment: { [variable]: 'x' }, folder: tmpdir() });
  await expect(loading).rejects.toThrow(`${variable} is not an option. Did you mean "${meant}"?`);
});

test('a wrong variable is named, and other PGWATCH_ variables are ignored', async () => {
  const folder = makeProject({});
  const load = (environment: Record<string, string>) => loadConfig({ folder, environment });
  await expect(load({ DATABASE_URL: 'x' })).rejects.toThrow(/^DATABASE_URL must be a URL/);
  await expect(load({ PGWATCH_URL: 'x', DATABASE_URL: 'y' })).rejects.toThrow(/^PGWATCH_URL must/);
  await expect(load({ PGWATCH_POOL_SIZE: 'x' })).rejects.toThrow(/^PGWATCH_POOL_SIZE must/);
  expect((await load({ PGWATCH_TEST_DATABASE_URL: 'x', PGWATCH_COLOUR: 'y' })).url).toBe(null);
});

test.each([
  ['pgwatch.config.mts', 'const n: number = 7; export default { poolSize: n };'],
  ['pgwatch.config.js', 'export default { poolSize: 7 };'],
  ['pgwatch.config.mjs', 'export default { poolSize: 7 };'],
  ['pgwatch.config.json', '{ "poolSize": 7 }'],
  ['.pgwatchrc', 'poolSize: 7'],
  ['.pgwatchrc', '{ "poolSize": 7 }'],
  ['package.json', '{ "type": "module", "pgwatch": { "poolSize": 7 } }'],
])('the config may be in %s: %s', async (file, content) => {
  const folder = makeProject({ [file]: content });
  expect(await loadConfig({ folder, environment: {} })).toMatchObject({
    poolSize: 7,
    file: join(folder, file),
  });
});

test('a config file given by name is the only one that is read', async () => {
  const folder = makeProject({
    'pgwatch.config.ts': 'throw new Error("read");',
    'other/mine.ts': 'export default { poolSize: 7, consumers: "watchers" };',
  });
  const config = await loadConfig({ folder, file: 'other/mine.ts', environment: {} });
  expect(config.poolSize).toBe(7);
  // Paths in a file are relative to it; those of flags and variables, to the working directory.
  expect(config.consumers).toBe(join(folder, 'other/watchers'));
  const flagged = await loadConfig({
    folder,
    file: 'other/mine.ts',
    environment: { PGWATCH_CONSUMERS: 'here' },
  });
  expect(flagged.consumers).toBe(join(folder, 'here'));
});

test('a config file of the project is found from a folder inside it', async () => {
  const folder = makeProject({
    'pgwatch.config.json': '{ "poolSize": 7 }',
    'src/deep/file.ts': '',
  });
  const config = await loadConfig({ folder: join(folder, 'src/deep'), environment: {} });
  expect(config.file).toBe(join(folder, 'pgwatch.config.json'));
  expect(config.consumers).toBe(join(folder, 'consumers'));
});

test('an empty config file counts as none', async () => {
  for (const file of ['pgwatch.config.ts', 'pgwatch.config.json', '.pgwatchrc']) {
    const folder = makeProject({ [file]: '\n' });
    expect((await loadConfig({ folder, environment: {} })).file).toBe(null);
  }
});
