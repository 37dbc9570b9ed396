import { describe, expect, onTestFinished, test } from 'vitest';
import { withConnection } from '../../src/database/connect.ts';
import type { Check } from '../../src/inspect/doctor/check.ts';
import { connection } from '../../src/inspect/doctor/connection.ts';
import { examine } from '../../src/inspect/doctor/examine.ts';
import { LIMITS } from '../../src/inspect/doctor/limits.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { useDatabase } from '../helpers/database.ts';
import { diagnose, findingsOf, ofDatabase } from '../helpers/doctor.ts';
import { findPgBouncer, startPgBouncer } from '../helpers/pgbouncer.ts';

const database = useDatabase();
const program = findPgBouncer() ?? '';
if (!program) {
  console.warn(
    'SKIPPED: the doctor behind a pooler needs PgBouncer ("apt-get install pgbouncer").',
  );
}

describe.skipIf(!program)('behind a transaction pooler', () => {
  test('the pooler is the only finding, and everything else is checked', async () => {
    const settings = { pool_mode: 'transaction', default_pool_size: 3 };
    const { url, stop } = await startPgBouncer(program, database.url, settings);
    onTestFinished(stop);
    const { findings, checked } = await diagnose({ ...database.config, url }, 'all');
    expect(ofDatabase(findings)).toEqual([
      {
        check: 'connection',
        level: 'problem',
        what: `127.0.0.1:${new URL(url).port} is a transaction pooler, and directUrl is not set.`,
        why: expect.stringContaining('LISTEN and session locks do not work there'),
        fix: expect.stringContaining('Set directUrl in the config, or PGWATCH_DIRECT_URL'),
      },
    ]);
    expect(checked.filter(({ outcome }) => outcome === 'unchecked')).toEqual([]);
    const bypassed = { ...database.config, url, directUrl: database.url };
    expect(await findingsOf(bypassed, 'connection')).toEqual([]);
  });
});

test('a directUrl that leads to another database is found', async () => {
  const other = await createEmptyDatabase();
  const config = { ...database.config, directUrl: other.url };
  expect(await findingsOf(config, 'connection')).toEqual([
    'problem: url and directUrl lead to different databases.',
  ]);
});

test('a url that fails beside a working directUrl is found', async () => {
  const config = {
    ...database.config,
    directUrl: database.url,
    url: 'postgres://nobody@127.0.0.1:1/none',
  };
  expect(await findingsOf(config, 'connection')).toEqual([
    expect.stringMatching(
      /^problem: directUrl works, but url does not: Cannot connect to 127.0.0.1:1/,
    ),
  ]);
});

test('an unverified certificate is found', async () => {
  const config = { ...database.config, tls: 'no-verify' as const };
  const target = { url: database.url };
  const { findings } = await withConnection(target, (client) =>
    examine(client, { config, target, limits: LIMITS }, [connection]),
  );
  expect(findings.map(({ level, what }) => `${level}: ${what}`)).toEqual([
    expect.stringMatching(/^problem: The certificate of .* is not verified\.$/),
  ]);
});

test('a check that fails is a note, and the others continue', async () => {
  const broken = {
    name: 'broken',
    runs: 'transaction' as const,
    needs: 'nothing' as const,
    run: async () => Promise.reject(new Error('no such thing')),
  };
  const writing = {
    ...broken,
    name: 'writing',
    run: async (client: { query(text: string): Promise<unknown> }) => {
      await client.query('create table public.traces (id int)');
      return { findings: [], seen: '' };
    },
  };
  const target = { url: database.url };
  const context = { config: database.config, target, limits: LIMITS };
  const { findings, checked } = await withConnection(target, (client) =>
    examine(client, context, [broken, writing, connection]),
  );
  expect(findings.map(({ check, level, what }) => [check, level, what])).toEqual([
    ['broken', 'note', 'Could not be checked: no such thing.'],
    // No check can change anything.
    [
      'writing',
      'note',
      'Could not be checked: cannot execute CREATE TABLE in a read-only transaction.',
    ],
  ]);
  expect(checked.map(({ outcome }) => outcome)).toEqual(['unchecked', 'unchecked', 'ok']);
});

test('a session that is ended while idle still completes all checks', async () => {
  await withConnection(database.config, async (client) => {
    await client.query(`set idle_session_timeout = '100ms'`);
    const idling: Check = {
      name: 'idling',
      runs: 'connection',
      needs: 'nothing',
      async run() {
        await withConnection(database.config, (other) => other.query('select pg_sleep(0.3)'));
        return { findings: [], seen: 'nothing' };
      },
    };
    const context = { config: database.config, target: database.config, limits: LIMITS };
    const { checked } = await examine(client, context, [idling, connection]);
    expect(checked.map(({ outcome }) => outcome)).not.toContain('unchecked');
  });
});
