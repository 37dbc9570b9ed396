import pg, { type ClientBase } from 'pg';
import { errorCodeOf, PgwatchError } from '../errors.ts';
import { requireOwnFunctions } from './api-functions.ts';
import type { Queryable } from './connect.ts';
import { requireUtf8 } from './encoding.ts';
import { attempt, withMigrationLock } from './migration-step.ts';
import {
  bootstrapSql,
  grantSql,
  type Installation,
  type Migration,
  migrationSql,
  readMigrations,
} from './migrations.ts';
import { type Names, qualified } from './names.ts';
import { LOCK_TIMEOUT } from './patient-lock.ts';
import { missingText, requireFreeSchema } from './place.ts';
import { recordUnrecorded, restoreDamaged } from './restore.ts';
import { SQLSTATE } from './sqlstate.ts';
import { withTransaction } from './transaction.ts';

export type MigrationState = {
  number: number;
  name: string;
  /** changed: the file is not the one that ran. unknown: a newer version of pgwatch ran it. */
  state: 'applied' | 'pending' | 'changed' | 'unknown';
  appliedAt: Date | null;
};

/**
 * Brings the database to this version, with one transaction per migration, restores what was
 * removed or a dump left out, and grants the roles. Concurrent runs wait for each other.
 * @param onRestored called with a description of each restored object
 * @returns the migrations that this call applied
 * @throws PgwatchError migration_failed (names the file), schema_too_new, schema_outdated,
 *   config_invalid, encoding_unsupported
 */
export async function migrateUp(
  client: ClientBase,
  target: Installation,
  onRestored: (what: string) => void = () => {},
): Promise<Migration[]> {
  await requireUtf8(client);
  return withMigrationLock(client, target.schema, async () => {
    await requireFreeSchema(client, target);
    await requireOwnFunctions(client, target);
    const creating = { what: `Creating schema "${target.schema}"`, names: target };
    await attempt(client, creating, () =>
      withTransaction(client, () => client.query(bootstrapSql(target))),
    );
    if (await recordUnrecorded(client, target, await readPending(client, target))) {
      onRestored('the record of its migrations');
    }
    const migrations = await readPending(client, target);
    for (const what of await restoreDamaged(client, target, otherThan(migrations))) {
      onRestored(what);
    }
    for (const migration of migrations) await applyMigration(client, migration, target);
    const granting = { what: 'Granting the roles of the config', names: target };
    await attempt(client, granting, () =>
      withTransaction(client, () => client.query(grantSql(target))),
    );
    return migrations;
  });
}

/** @throws PgwatchError schema_too_new, schema_outdated */
async function readPending(client: ClientBase, names: Names): Promise<Migration[]> {
  const states = await readMigrationStates(client, names);
  refuseForeignStates(states);
  const pending = new Set(states.filter((s) => s.state === 'pending').map((s) => s.number));
  return readMigrations().filter(({ number }) => pending.has(number));
}

/** The numbers of the migrations that have run, and 0 for what comes before all of them. */
function otherThan(pending: readonly Migration[]): Set<number> {
  const numbers = new Set([0, ...readMigrations().map(({ number }) => number)]);
  for (const { number } of pending) numbers.delete(number);
  return numbers;
}

/** Reads the state of every migration that this program or the database knows, in order. */
export async function readMigrationStates(
  client: Queryable,
  names: Names,
): Promise<MigrationState[]> {
  const applied = await readApplied(client, names);
  const states: MigrationState[] = readMigrations().map(({ number, name, hash }) => {
    const row = applied.get(number);
    applied.delete(number);
    if (!row) return { number, name, state: 'pending', appliedAt: null };
    const state = row.hash === hash ? 'applied' : 'changed';
    return { number, name, state, appliedAt: row.applied_at };
  });
  for (const [number, row] of applied) {
    states.push({ number, name: row.name, state: 'unknown', appliedAt: row.applied_at });
  }
  return states;
}

/**
 * Refuses a database whose schema does not match this program.
 * @throws PgwatchError schema_missing, schema_outdated, schema_too_new or encoding_unsupported
 */
export async function requireCurrentSchema(client: Queryable, names: Names): Promise<void> {
  await requireUtf8(client);
  const states = await readMigrationStates(client, names);
  if (states.every((state) => state.state === 'pending')) {
    throw new PgwatchError('schema_missing', await missingText(client, names));
  }
  refuseForeignStates(states);
  const pending = states.filter((state) => state.state === 'pending');
  if (pending.length > 0) {
    throw new PgwatchError(
      'schema_outdated',
      `The database lacks ${pending.length} migration${pending.length > 1 ? 's' : ''} ` +
        `(${pending.map((s) => s.name).join(', ')}). Run "pgwatch migrate".`,
    );
  }
}

type AppliedRow = { number: number; name: string; hash: string; applied_at: Date };

async function readApplied(client: Queryable, names: Names) {
  // Check first, because inside a transaction no query would work after an error.
  const { rows: found } = await client.query(
    `select from pg_catalog.pg_class as c
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = 'migration' and c.relkind = 'r'`,
    [names.schema],
  );
  if (found.length === 0) return new Map<number, AppliedRow>();
  try {
    const { rows } = await client.query(
      `select number, name, hash, applied_at
       from ${qualified(names.schema, 'migration')} order by number`,
    );
    return new Map((rows as AppliedRow[]).map((row) => [row.number, row]));
  } catch (thrown) {
    const code = errorCodeOf(thrown);
    if (code === SQLSTATE.undefinedTable || code === SQLSTATE.undefinedSchema)
      return new Map<number, AppliedRow>();
    throw thrown;
  }
}

/**
 * Refuses a database that a newer version migrated.
 * @throws PgwatchError schema_too_new
 */
export function refuseNewer(states: MigrationState[]): void {
  const unknown = states.find((state) => state.state === 'unknown');
  if (unknown) {
    throw new PgwatchError(
      'schema_too_new',
      `The database was migrated by a newer pgwatch (migration ${unknown.number} ` +
        `"${unknown.name}"). Update the pgwatch package.`,
    );
  }
}

function refuseForeignStates(states: MigrationState[]): void {
  refuseNewer(states);
  const changed = states.find((state) => state.state === 'changed');
  if (changed) {
    throw new PgwatchError(
      'schema_outdated',
      `Migration ${changed.number} "${changed.name}" is not the one that ran in this database. ` +
        'Install the version of pgwatch that ran it, or start over with ' +
        '"pgwatch migrate uninstall" and "pgwatch migrate".',
    );
  }
}

async function applyMigration(
  client: ClientBase,
  migration: Migration,
  names: Names,
): Promise<void> {
  const what = `Migration ${migration.number} "${migration.name}"`;
  await attempt(client, { what, names }, () =>
    withTransaction(client, async () => {
      await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
      // Our functions may exist without the schema: triggers that depend on them keep them.
      const sql = migrationSql(migration, names).replaceAll(
        `create function ${pg.escapeIdentifier(names.apiSchema)}.`,
        (text) => text.replace('create', 'create or replace'),
      );
      await client.query(sql);
    }),
  );
}
