import { expect } from 'vitest';
import { SessionPool } from '../../src/daemon/control/session-pool.ts';
import { Pool } from '../../src/database/pool.ts';
import { withTransaction } from '../../src/database/transaction.ts';
import { collectReports } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { until } from '../helpers/wait.ts';

const test = filesOnly('it tests parts of the daemon');

const database = useDatabase();

test("a statement repeated because of a lock is reported with the lock's holder", async () => {
  const holder = await database.connect();
  const { rows } = await holder.query(
    'select pg_backend_pid() as pid, pg_advisory_lock(pgwatch.cleanup_key())',
  );
  const { reporter, reports } = collectReports();
  const { url, tls } = database.config;
  const pool = new Pool({ url, tls, size: 2, onError: () => {} });
  const never = new AbortController().signal;
  const session = new SessionPool({
    pool,
    schema: 'pgwatch',
    reporter,
    ended: never,
    stop: never,
    mode: 'tail',
  });
  const waiting = session.withClient((client) =>
    withTransaction(client, async () => {
      await client.query(`set local lock_timeout = '50ms'`);
      await client.query('select pg_advisory_xact_lock(pgwatch.cleanup_key())');
    }),
  );
  await until('the holder is named', () => reports.join('').includes(`pid ${rows[0].pid} `));
  expect(reports.join('')).toMatch(
    /warning A statement .* is tried again: [^.]+\. Held by others: cleanup: pid/,
  );
  await holder.query('select pg_advisory_unlock_all()');
  await waiting;
  await pool.close();
});
