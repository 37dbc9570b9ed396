import pg, { type ClientBase } from 'pg';
import { readDamaged } from './damage.ts';
import { attempt } from './migration-step.ts';
import { type Migration, SAFE_PATH } from './migrations.ts';
import { type Names, qualified } from './names.ts';
import { LOCK_TIMEOUT } from './patient-lock.ts';
import { withTransaction } from './transaction.ts';
import { readLeftBy, requireSameTables } from './unrecorded.ts';

/**
 * Records migrations that are pending according to the record, although some of their objects
 * exist.
 * @returns true if there were any
 * @throws PgwatchError schema_outdated if the tables are from another version
 */
export async function recordUnrecorded(
  client: ClientBase,
  names: Names,
  pending: readonly Migration[],
): Promise<boolean> {
  const leftBy = await readLeftBy(client, names);
  const unrecorded = pending.filter(({ number }) => leftBy.has(number));
  if (unrecorded.length === 0) return false;
  await requireSameTables(client, names);
  const values = unrecorded.map(({ number, name, hash }) =>
    [String(number), pg.escapeLiteral(name), pg.escapeLiteral(hash)].join(', '),
  );
  await attempt(client, { what: 'Recording the migrations', names }, () =>
    client.query(
      `insert into ${qualified(names.schema, 'migration')} (number, name, hash)
       values (${values.join('), (')})`,
    ),
  );
  return true;
}

/**
 * Restores what migrations created and is missing, in one transaction. Also restores functions and
 * triggers that were changed, but not columns, since rows may have been written without them.
 * @returns descriptions of what it restored
 */
export async function restoreDamaged(
  client: ClientBase,
  names: Names,
  migrations: ReadonlySet<number>,
): Promise<string[]> {
  const damaged = await readDamaged(client, names, migrations);
  if (damaged.length === 0) return [];
  await attempt(client, { what: 'Restoring what is missing', names }, () =>
    withTransaction(client, async () => {
      await client.query(`${SAFE_PATH}set local lock_timeout = '${LOCK_TIMEOUT}'`);
      for (const { sql } of damaged) await client.query(sql);
      if (damaged.some(({ kind, name }) => kind === 'table' && name === 'notification_log')) {
        await client.query(`select ${qualified(names.schema, 'log_partition_create')}()`);
      }
    }),
  );
  return [...new Set(damaged.map(({ text }) => text))];
}
