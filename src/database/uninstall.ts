import type { ClientBase } from 'pg';
import { PgwatchError } from '../errors.ts';
import type { Queryable } from './connect.ts';
import { readMigrationStates, refuseNewer } from './migrate.ts';
import { attempt, withMigrationLock } from './migration-step.ts';
import { fillNames, type Names, qualified } from './names.ts';
import { withTransaction } from './transaction.ts';

/**
 * What uninstalling would remove. An outdated schema can be uninstalled too, and one whose
 * migrations were changed.
 * @throws PgwatchError schema_missing, schema_too_new
 */
export async function readFootprint(client: Queryable, names: Names) {
  const states = await readMigrationStates(client, names);
  if (states.every(({ state }) => state === 'pending')) {
    throw new PgwatchError(
      'schema_missing',
      `The database has no schema "${names.schema}" of pgwatch: there is nothing to remove.`,
    );
  }
  refuseNewer(states);
  const log = qualified(names.schema, 'notification_log');
  const { rows } = await client.query(
    `select
       (select count(*)::float8 from ${log}) as notifications,
       (select count(*)::float8 from ${qualified(names.schema, 'consumer_progress')}) as consumers,
       array(
         select tgrelid::regclass::text from pg_trigger
         where tgfoid = to_regprocedure($1) and tgparentid = 0 order by 1) as triggered_tables`,
    [`${qualified(names.apiSchema, 'notify_data_change')}()`],
  );
  return rows[0] as { notifications: number; consumers: number; triggered_tables: string[] };
}

/** Removes everything: the schema with the log, the functions of people's SQL, and the triggers that use them. */
export async function uninstall(client: ClientBase, names: Names): Promise<void> {
  await withMigrationLock(client, names.schema, () =>
    attempt(client, { what: 'Uninstalling', names }, () =>
      withTransaction(client, () => client.query(fillNames(UNINSTALL, names))),
    ),
  );
}

const UNINSTALL = `
set local lock_timeout = '5s';
drop function if exists :"api_schema".smart_notify(text, jsonb, text, uuid);
drop function if exists :"api_schema".smart_notify_many(text[], jsonb[], text[], uuid[]);
drop function if exists :"api_schema".notify_data_change() cascade;
drop schema if exists :"schema" cascade;`;
