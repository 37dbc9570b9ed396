import type { ClientBase } from 'pg';
import { qualified } from '../database/names.ts';
import { StandstillGuard } from '../database/standstill.ts';
import { settingsSql } from '../database/transaction.ts';
import { sleep } from '../time.ts';
import { safeId } from './notification.ts';
import { type Page, pageReaderWhere, type RowCondition } from './page.ts';
import { LOG_PLANS } from './plans.ts';
import { beginningAt, beginningBefore, readPosition } from './positions/beginning.ts';
import type { Position } from './positions/position.ts';

/**
 * Where to begin reading without a consumer: at the first notification, after the newest, at an id,
 * at a time, or a number of notifications before the end.
 */
export type ReadFrom = 'start' | 'now' | { id: number } | { time: Date } | { last: number };

export type ReadOptions = {
  schema: string;
  condition: RowCondition;
  /** Rows up to this id were written by an earlier cluster and are visible to all. */
  rebasedId: number;
  position: Position;
  /** follow: read until the signal aborts. once: read what is there now. */
  mode: 'follow' | 'once';
  signal: AbortSignal;
};

/** The position to begin at. Notifications that commit later are read even if their id is lower. */
export async function readStart(
  client: ClientBase,
  schema: string,
  from: ReadFrom,
  condition: RowCondition,
): Promise<Position> {
  if (from === 'start' || from === 'now') {
    return readPosition(client, beginningAt(schema, from, '$1'));
  }
  if ('id' in from) return readPosition(client, beginningAt(schema, from.id, '$1'));
  if ('time' in from) return readPosition(client, beginningAt(schema, from.time, '$1'));
  const log = qualified(schema, 'notification_log');
  const matching = `select id from ${log} where ${condition.sql.replaceAll('$7', '$1')}`;
  const last = `(select min(id) - 1 from (${matching} order by id desc limit $2) as matching)`;
  const values = [condition.value, from.last];
  return readPosition(client, beginningBefore(schema, last, values));
}

/** The highest id written up to a time; null if there is none. */
export async function readLastIdAt(
  client: ClientBase,
  schema: string,
  time: Date,
): Promise<number | null> {
  const { rows } = await client.query<{ id: string | null }>(
    `select max(id)::text as id from ${qualified(schema, 'notification_log')}
     where created_at <= $1::timestamptz`,
    [time],
  );
  return rows[0]?.id ? safeId(rows[0].id) : null;
}

/** How far the log goes back, and the highest id that was assigned. */
export type LogBounds = { oldest: { id: number; createdAt: Date } | null; lastId: number };

export async function readBounds(client: ClientBase, schema: string): Promise<LogBounds> {
  const { rows } = await client.query<{ id: string | null; ms: number | null; last: string }>(
    `select oldest.id::text, extract(epoch from oldest.created_at)::float8 * 1000 as ms,
       (case when is_called then last_value else 0 end)::text as last
     from ${qualified(schema, 'notification_log_id_seq')} left join (
       select id, created_at from ${qualified(schema, 'notification_log')} order by id limit 1
     ) as oldest on true`,
  );
  const { id = null, ms = null, last = '0' } = rows[0] ?? {};
  const oldest = id === null || ms === null ? null : { id: safeId(id), createdAt: new Date(ms) };
  return { oldest, lastId: safeId(last) };
}

/** False if the server has not reached the position: it is another server, or was set back. */
export async function isStillThere(
  client: ClientBase,
  schema: string,
  { doneId, doneSnapshot }: Position,
): Promise<boolean> {
  // Do not compare with the highest id in the log: that row may have been removed since.
  const { rows } = await client.query<{ isThere: boolean }>(
    `select last_value >= $1::bigint
       and pg_snapshot_xmax(pg_current_snapshot()) >= pg_snapshot_xmax($2::pg_snapshot) as "isThere"
     from ${qualified(schema, 'notification_log_id_seq')}`,
    [doneId, doneSnapshot],
  );
  return rows[0]?.isThere === true;
}

/**
 * Reads page by page from a position on. It saves no position, keeps no transaction open between
 * pages, and does not affect any consumer. Late commits come with the next page, as for a consumer.
 */
export async function* readPages(client: ClientBase, options: ReadOptions): AsyncGenerator<Page> {
  const { schema, condition, rebasedId, mode, signal } = options;
  await client.query(settingsSql(LOG_PLANS, 'session'));
  const readPage = pageReaderWhere(schema, condition);
  const guard = new StandstillGuard(client, STANDSTILL_MS);
  let { position } = options;
  while (!signal.aborted) {
    guard.start();
    const page = await readPage(client, { position, limit: LIMIT, rebasedId }).finally(() =>
      guard.stop(),
    );
    position = page.after;
    yield page;
    if (page.hasMore) continue;
    if (mode === 'once') return;
    await sleep(POLL_MS, signal);
  }
}

const LIMIT = { rows: 500, bytes: 4_000_000 };

/** A page that takes longer is not coming any more, and its connection is cut. */
const STANDSTILL_MS = 60_000;

/** How soon new notifications are seen; an empty read costs an index probe per partition. */
const POLL_MS = 250;
