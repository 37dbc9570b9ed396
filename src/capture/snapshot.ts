import type { ClientBase } from 'pg';
import { type Names, qualified } from '../database/names.ts';
import { VALUE_FORMATS } from '../database/settings.ts';
import { settingsSql, withTransaction } from '../database/transaction.ts';
import { consumerChannel } from '../log/channels.ts';
import { readRowCapture } from './row-capture.ts';
import { openSource, ROW_LOCK_TIMEOUT, requireKey } from './snapshot-source.ts';
import { boundSql, progressTable, snapshotCopySql } from './snapshot-sql.ts';
import type { Table } from './table.ts';

/** Publishes the existing rows of a captured table to one consumer. */
export type TableSnapshot = {
  consumerId: string;
  table: Table;
  /** The number of rows that are published, and locked meanwhile, in one transaction. */
  batchSize: number;
};

/** The progress of a snapshot; done is the number of rows published. */
export type SnapshotProgress = { done: number; isFinished: boolean };

/**
 * Begins a snapshot, or resumes the one that was interrupted; `again` starts over.
 * @throws PgwatchError table_unsuitable if the table has no primary key
 */
export async function beginSnapshot(
  client: ClientBase,
  { schema }: Names,
  { consumerId, table }: TableSnapshot,
  again: boolean,
): Promise<SnapshotProgress> {
  requireKey(table);
  const values = [consumerId, table.schema, table.name, again];
  const { rows } = await client.query<SnapshotProgress>(
    `insert into ${progressTable(schema)} as s (consumer_id, schema_name, table_name)
     values ($1, $2, $3)
     on conflict (consumer_id, schema_name, table_name) do update
     set last_key = case when $4 or s.finished_at is not null then null else s.last_key end,
       done = case when $4 or s.finished_at is not null then 0 else s.done end,
       started_at = case when $4 or s.finished_at is not null then now() else s.started_at end,
       finished_at = null
     returning done::float8, false as "isFinished"`,
    values,
  );
  return rows[0] ?? { done: 0, isFinished: false };
}

/**
 * Publishes the next rows, in one transaction. They are locked against changes until it commits:
 * earlier changes are in the log before them, and later changes come after them. So no row is
 * overwritten by an older version.
 * @returns null if the snapshot was finished or removed meanwhile
 * @throws PgwatchError table_unsuitable if the table is no longer captured
 * @throws lock_not_available if another session holds a lock on one of the rows for too long
 */
export async function copyBatch(
  client: ClientBase,
  names: Names,
  snapshot: TableSnapshot,
): Promise<SnapshotProgress | null> {
  return withTransaction(
    client,
    async () => {
      await client.query(settingsSql(SETTINGS, 'transaction'));
      const source = await openSource(client, names, snapshot.table);
      const { table } = source;
      // A notification must not have an id before its transaction has an xid.
      await client.query('select pg_current_xact_id()');
      const keyColumns = [
        String(table.oid),
        ...source.keys.map(({ name, type }) => `${name} ${type}`),
      ];
      const progress = await lockProgress(client, names, snapshot, keyColumns);
      if (!progress) return null;
      const { lastKey } = progress;
      const bound = await client.query<{ key: string[] }>(boundSql(source, lastKey), [
        snapshot.batchSize,
        ...(lastKey ?? []),
      ]);
      const upTo = bound.rows[0]?.key;
      if (upTo === undefined) return finish(client, names, snapshot, progress.done);
      const captured = await readRowCapture(client, names, table, snapshot.consumerId);
      const { place, id, key, exclude, payload, fold } = captured;
      const own = consumerChannel(snapshot.consumerId);
      const copied = await client.query<{ count: number }>(
        snapshotCopySql(names, source, lastKey !== null),
        [
          own,
          { channel: captured.channel },
          JSON.stringify([...place, ...id]),
          id,
          key,
          exclude,
          payload,
          fold,
          ...upTo,
          ...(lastKey ?? []),
        ],
      );
      await client.query(`select ${qualified(names.schema, 'doorbell_ring')}($1)`, [own]);
      const done = progress.done + (copied.rows[0]?.count ?? 0);
      await saveProgress(client, names, snapshot, { done, lastKey: upTo, keyColumns });
      return { done, isFinished: false };
    },
    'begin isolation level read committed',
  );
}

/** The planner's estimate of the number of rows; 0 if unknown. */
export async function readRowEstimate(client: ClientBase, { oid }: Table): Promise<number> {
  const { rows } = await client.query<{ rows: number }>(
    'select greatest(reltuples, 0)::float8 as rows from pg_catalog.pg_class where oid = $1',
    [oid],
  );
  return rows[0]?.rows ?? 0;
}

/** The progress so far; it starts over with another table of that name, or another primary key. */
async function lockProgress(
  client: ClientBase,
  { schema }: Names,
  snapshot: TableSnapshot,
  keyColumns: readonly string[],
) {
  const { rows } = await client.query<{ done: number; lastKey: string[] | null }>(
    `select case when is_same then done else 0 end::float8 as done,
       case when is_same then last_key end as "lastKey"
     from ${progressTable(schema)}
     cross join lateral (select key_columns is null or key_columns = $4 as is_same) as key
     where (consumer_id, schema_name, table_name) = ($1, $2, $3) and finished_at is null
     for update of snapshot`,
    [...nameOf(snapshot), keyColumns],
  );
  return rows[0];
}

async function saveProgress(
  client: ClientBase,
  { schema }: Names,
  snapshot: TableSnapshot,
  { done, lastKey, keyColumns }: { done: number; lastKey: string[]; keyColumns: string[] },
): Promise<void> {
  await client.query(
    `update ${progressTable(schema)} set done = $4, last_key = $5, key_columns = $6
     where (consumer_id, schema_name, table_name) = ($1, $2, $3)`,
    [...nameOf(snapshot), done, lastKey, keyColumns],
  );
}

async function finish(
  client: ClientBase,
  { schema }: Names,
  snapshot: TableSnapshot,
  done: number,
) {
  await client.query(
    `update ${progressTable(schema)} set finished_at = now()
     where (consumer_id, schema_name, table_name) = ($1, $2, $3)`,
    nameOf(snapshot),
  );
  return { done, isFinished: true };
}

function nameOf({ consumerId, table }: TableSnapshot): string[] {
  return [consumerId, table.schema, table.name];
}

/**
 * Values are written, and names are resolved, as in notify_data_change(). Checks and policies of
 * the table are not evaluated, because they run functions that its owner chose.
 */
const SETTINGS = {
  ...VALUE_FORMATS,
  search_path: 'pg_catalog, pg_temp',
  constraint_exclusion: 'off',
  lock_timeout: ROW_LOCK_TIMEOUT,
  row_security: 'off',
};
