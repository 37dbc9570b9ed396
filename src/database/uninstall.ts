import type { ClientBase } from 'pg';
import { PgwatchError } from '../errors.ts';
import { readApiFunctions } from './api-functions.ts';
import type { Queryable } from './connect.ts';
import { requireNoDependents } from './dependents.ts';
import { readMigrationStates, refuseNewer } from './migrate.ts';
import { attempt, withMigrationLock } from './migration-step.ts';
import { fillNames, type Names, qualified } from './names.ts';
import { LOCK_TIMEOUT } from './patient-lock.ts';
import { requireFreeSchema } from './place.ts';
import { withTransaction } from './transaction.ts';
import { readLeftBy } from './unrecorded.ts';

/**
 * Reads what uninstalling would remove. An outdated schema can be uninstalled too, and so can one
 * whose migrations were changed.
 * @throws PgwatchError schema_missing, schema_too_new; migration_failed if other objects depend on
 *   the schema
 */
export async function readFootprint(client: Queryable, names: Names) {
  const states = await readMigrationStates(client, names);
  refuseNewer(states);
  const functions = (await readApiFunctions(client, names)).filter(({ isOurs }) => isOurs);
  const isThere = (await readLeftBy(client, names)).size > 0;
  if (!isThere) await requireFreeSchema(client, names);
  if (!isThere && functions.length === 0) {
    throw new PgwatchError(
      'schema_missing',
      `The database has no schema "${names.schema}" of pgwatch: there is nothing to remove.`,
    );
  }
  await requireNoDependents(client, names);
  return {
    notifications: await countRows(client, qualified(names.schema, 'notification_log')),
    consumers: await countRows(client, qualified(names.schema, 'consumer_progress')),
    triggered_tables: await readTriggered(client, names),
  };
}

/** Counts the rows of a table; 0 if there is no such table. */
async function countRows(client: Queryable, table: string): Promise<number> {
  const { rows } = await client.query('select to_regclass($1) is not null as is_there', [table]);
  if (!(rows[0] as { is_there: boolean }).is_there) return 0;
  const counted = await client.query(`select count(*)::float8 as count from ${table}`);
  return (counted.rows[0] as { count: number }).count;
}

async function readTriggered(client: Queryable, names: Names): Promise<string[]> {
  const { rows } = await client.query(
    `select distinct tgrelid::regclass::text as name from pg_trigger
     where tgfoid = to_regprocedure($1) and tgparentid = 0 order by 1`,
    [`${qualified(names.apiSchema, 'notify_data_change')}()`],
  );
  return (rows as { name: string }[]).map(({ name }) => name);
}

/**
 * Removes everything: the schema with the log, the functions for users' SQL, and the triggers that
 * use them.
 */
export async function uninstall(client: ClientBase, names: Names): Promise<void> {
  await withMigrationLock(client, names.schema, () =>
    attempt(client, { what: 'Uninstalling', names }, () =>
      withTransaction(client, async () => {
        await requireNoDependents(client, names);
        await client.query(fillNames(UNINSTALL, names));
      }),
    ),
  );
}

const UNINSTALL = `
set local lock_timeout = '${LOCK_TIMEOUT}';
drop function if exists :"api_schema".smart_notify(text, jsonb, text, uuid);
drop function if exists :"api_schema".smart_notify_many(text[], jsonb[], text[], uuid[]);
drop function if exists :"api_schema".notify_data_change() cascade;
drop schema if exists :"schema" cascade;`;
