import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { Control } from '../../src/daemon/control/control.ts';
import { connect } from '../../src/database/connect.ts';
import { Pool } from '../../src/database/pool.ts';
import { keepsSession, withOwnSettings } from '../../src/database/pooler.ts';
import { collecting, startDaemon, startTailing } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { filesOnly, handlersOnly } from '../helpers/doors/only.ts';
import { findPgBouncer, type PgBouncer, startPgBouncer } from '../helpers/pgbouncer.ts';
import { publish, publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

const partTest = filesOnly('it tests parts of the daemon');
const engineTest = handlersOnly('each subscription has an engine of its own');

/*
Goal: a daemon behind a pooler delivers everything and leaves nothing on the connections that it
shares with others. If session state does not last, it polls and says so; with directUrl it listens.
Method: Debian's PgBouncer in front of the test server, with few connections, so they are shared.
*/

const program = findPgBouncer() ?? '';
if (!program) {
  console.warn(
    'SKIPPED: all tests with poolers. Install PgBouncer ("apt-get install pgbouncer") ' +
      'or set PGWATCH_TEST_PGBOUNCER to its path.',
  );
}

describe.skipIf(!program)('behind PgBouncer', () => {
  const database = useDatabase();
  afterEach(() => emptyLog(database));

  async function startPooler(settings: Record<string, string | number>): Promise<PgBouncer> {
    const pooler = await startPgBouncer(program, database.url, settings);
    onTestFinished(pooler.stop);
    return pooler;
  }

  const TRANSACTION = { pool_mode: 'transaction', default_pool_size: 3 };

  const numbers = (to: number) => Array.from({ length: to }, (_, index) => index + 1);

  /** What each connection from the pooler to the server would show to its next borrower. */
  async function leftOnConnections(url: string, count: number) {
    const clients = await Promise.all(numbers(count).map(() => connect({ url })));
    // All hold a transaction at once, so each has its own server connection.
    await Promise.all(clients.map((client) => client.query('begin')));
    const left = await Promise.all(
      clients.map(async (client) => {
        const { rows } = await client.query(`
          select pg_backend_pid() as pid, array(select pg_listening_channels()) as channels,
            array(select name from pg_prepared_statements) as statements,
            array(select name from pg_settings where source = 'session' and name not in
              ('client_encoding', 'application_name', 'DateStyle', 'TimeZone',
               'standard_conforming_strings')) as settings,
            (select count(*)::int from pg_locks where pid = pg_backend_pid()
              and locktype = 'advisory') as locks`);
        return rows[0];
      }),
    );
    await Promise.all(clients.map((client) => client.end()));
    expect(new Set(left.map(({ pid }) => pid)).size).toBe(count);
    return left.map(({ pid, ...rest }) => rest);
  }

  const NOTHING = { channels: [], statements: [], settings: [], locks: 0 };

  partTest.each(
    some([
      [false, { pool_mode: 'transaction', default_pool_size: 1 }],
      [false, { pool_mode: 'transaction', default_pool_size: 4 }],
      [false, { pool_mode: 'transaction', default_pool_size: 4, server_round_robin: 1 }],
      // Its only connection is in use; what cannot be proven counts as false.
      [false, { pool_mode: 'session', default_pool_size: 1 }],
      [true, { pool_mode: 'session', default_pool_size: 4 }],
    ]),
  )('whether a session lasts is detected within seconds: %s with %j', async (lasts, settings) => {
    const { url } = await startPooler(settings);
    const client = await connect({ url });
    const startedAt = performance.now();
    expect(await keepsSession(client, { url })).toBe(lasts);
    expect(performance.now() - startedAt).toBeLessThan(5000);
    await client.end();
  });

  test('a pooler in statement mode is refused by name, and not tried for ever', async () => {
    const { url } = await startPooler({ pool_mode: 'statement', default_pool_size: 4 });
    const refused = {
      code: 'config_invalid',
      message: expect.stringMatching(
        `^127.0.0.1:${new URL(url).port} is a pooler that lends ` +
          'a connection for one statement only',
      ),
    };
    const client = await connect({ url });
    await expect(withOwnSettings(client)).rejects.toMatchObject(refused);
    for (const directUrl of [null, database.url]) {
      const { definition } = collecting({ id: 'refused' });
      const daemon = startDaemon({ ...database.config, url, directUrl }, [definition]);
      await expect(daemon.ended).rejects.toMatchObject(refused);
      await daemon.stop().catch(() => {});
    }
  });

  partTest.each(some([0, 1]))(
    'no session counts as lasting while others use the pooler, too (round robin: %i)',
    async (server_round_robin) => {
      const { url } = await startPooler({ ...TRANSACTION, server_round_robin });
      const others = await Promise.all(numbers(4).map(() => connect({ url })));
      const client = await connect({ url });
      let isOver = false;
      const busy = others.map(async (other) => {
        while (!isOver) await other.query('select pg_sleep(random() * 0.002)');
      });
      const answers = new Set<boolean>();
      for (let n = 0; n < 50; n++) answers.add(await keepsSession(client, { url }));
      isOver = true;
      await Promise.all(busy);
      await Promise.all([client, ...others].map((each) => each.end()));
      expect(answers).toEqual(new Set([false]));
    },
  );

  engineTest(
    'without directUrl a daemon polls, says why, and leaves no session state',
    async () => {
      const { url } = await startPooler(TRANSACTION);
      const collectors = ['a', 'b', 'c'].map((id) => collecting({ id: `polled_${id}` }));
      await publishRange(database, 1, 5000);
      const config = { ...database.config, url, pollIntervalMs: 20, maxBatchSize: 100 };
      const startedAt = performance.now();
      const daemon = startDaemon(
        config,
        collectors.map(({ definition }) => definition),
      );
      await daemon.transitions.for({ type: 'listening', mode: 'poll' });
      const knownMs = performance.now() - startedAt;
      for (const { id } of collectors.map(({ definition }) => definition)) {
        await daemon.transitions.for({ type: 'tail_joined', consumerId: id });
      }
      for (let n = 5001; n <= 5050; n++) await publish(database, n);
      for (const { seen } of collectors) {
        await until('everything is there', () => seen.length >= 5050 || `${seen.length} are`);
        expect(seen).toEqual(numbers(5050));
      }
      console.log(`behind a transaction pooler: known after ${Math.round(knownMs)} ms`);
      expect(knownMs).toBeLessThan(5000);
      const host = `127.0.0.1:${new URL(url).port}`;
      const warnings = daemon.reports.filter((line) => line.includes('warning'));
      expect(warnings).toEqual([
        expect.stringMatching(
          `${host} is a pooler that .* Set directUrl to a connection that bypasses`,
        ),
      ]);
      expect(await leftOnConnections(url, 3)).toEqual([NOTHING, NOTHING, NOTHING]);
      await daemon.stop();
      expect(daemon.reports.join('')).not.toMatch(
        /prepared statement|refused a statement|was lost/,
      );
    },
  );

  partTest.each(
    some([
      [true, 'its own connection'],
      [false, 'a pooled connection'],
    ]),
  )('session state lasts: %s on %s, and no statement uses foreign operators', async (lasts) => {
    const url = lasts ? database.url : (await startPooler(TRANSACTION)).url;
    const control = await Control.open({ ...database.config, url }, null);
    expect(control.hasSession).toBe(lasts);
    expect(control.backend === null).toBe(!lasts);
    const { rows } = await control.run((client) => client.query('show search_path'));
    expect(rows).toEqual([{ search_path: 'pg_catalog, pg_temp' }]);
    await control.close();
  });

  partTest('a client is kept only with lasting sessions and enough connections', async () => {
    const { url } = await startPooler(TRANSACTION);
    for (const [size, each, isKept] of [
      [4, url, false],
      [4, database.url, true],
      [1, database.url, false],
    ] as const) {
      const pool = new Pool({ url: each, size });
      const client = await pool.keep();
      expect(client !== undefined).toBe(isKept);
      if (client) pool.unkeep(client, 'sound');
      expect(pool.pool.idleCount).toBe(pool.pool.totalCount);
      await pool.close();
    }
  });

  test('handlers use context.db through the pooler', async () => {
    const { url } = await startPooler(TRANSACTION);
    const seen: unknown[] = [];
    const daemon = await startTailing({ ...database.config, url, pollIntervalMs: 20 }, [
      {
        id: 'asking',
        channels: ['ask'],
        async handle({ payload }, { db }) {
          const { rows } = await db.query('select $1::int + 1 as answer', [payload]);
          seen.push(rows[0]?.answer);
        },
      },
    ]);
    await publishRange(database, 1, 20, { channel: 'ask' });
    await until('all have an answer', () => seen.length === 20);
    await daemon.stop();
    expect(seen).toEqual(numbers(21).slice(1));
  });

  test('with directUrl two daemons listen in turn, and read through the pooler', async () => {
    const { url } = await startPooler(TRANSACTION);
    const [first, second] = [collecting({ id: 'direct' }), collecting({ id: 'direct' })];
    await database.query('truncate pgwatch.notification_log');
    await publishRange(database, 1, 5000);
    // A missed doorbell would delay it by a minute.
    const config = {
      ...database.config,
      url,
      directUrl: database.url,
      pollIntervalMs: 60_000,
      maxBatchSize: 100,
    };
    const owner = await startTailing(config, [first.definition]);
    const standby = startDaemon(config, [second.definition]);
    await standby.transitions.for({ type: 'consumer_standby' });
    await owner.transitions.for({ type: 'listening', mode: 'doorbell' });
    await owner.transitions.for({ type: 'asleep' });
    await publish(database, 5001);
    await until('the owner is woken', () => first.seen.length === 5001);
    await owner.stop();
    await standby.transitions.for({ type: 'consumer_owned', epoch: 2 });
    await standby.transitions.for({ type: 'tail_joined' });
    for (let n = 5002; n <= 5020; n++) await publish(database, n);
    await until('the other is woken', () => second.seen.length === 19);
    expect([...first.seen, ...second.seen]).toEqual(numbers(5020));
    expect(await leftOnConnections(url, 3)).toEqual([NOTHING, NOTHING, NOTHING]);
    await standby.stop();
    expect(warningsIn([...owner.reports, ...standby.reports])).toEqual([]);
  });

  test('behind a pooler in session mode a daemon listens without directUrl', async () => {
    const { url } = await startPooler({ pool_mode: 'session', default_pool_size: 20 });
    const { seen, definition } = collecting({ id: 'session' });
    await database.query('truncate pgwatch.notification_log');
    const daemon = await startTailing({ ...database.config, url, pollIntervalMs: 60_000 }, [
      definition,
    ]);
    await daemon.transitions.for({ type: 'asleep' });
    await publish(database, 1);
    await until('it is woken', () => seen.length === 1);
    await daemon.stop();
    expect(warningsIn(daemon.reports)).toEqual([]);
  });
});

/** Ignores warnings about consumers of earlier tests, which have no file here. */
function warningsIn(reports: readonly string[]): string[] {
  return reports.filter((line) => line.includes('warning') && !line.includes('a consumer file'));
}
