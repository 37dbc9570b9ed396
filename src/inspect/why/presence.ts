import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { keyTextSql } from '../../log/content-sql.ts';
import { type Gap, gapOf } from '../../log/gap.ts';
import { readWriters, type Writer } from './writers.ts';

/** A notification as the log holds it; the channel is the one that consumers read. */
export type LogEntry = {
  id: number;
  xid: string;
  channel: string;
  key: string | null;
  createdAt: Date;
};

/**
 * Whether the log holds the notification.
 *
 * never_drawn  no transaction has ever drawn this id
 * removed      the log no longer reaches back to it, or a cleanup removed notifications around it
 * unseen       it was rolled back, or one of these open transactions holds it; which is not known
 * rolled_back  it is not there, and no transaction can hold it any longer
 */
export type Presence =
  | { code: 'present'; entry: LogEntry }
  | { code: 'never_drawn'; lastId: number }
  | { code: 'removed'; oldestId: number | null; gap: Gap | null }
  | { code: 'unseen'; writers: Writer[] }
  | { code: 'rolled_back' };

/**
 * Looks for a notification. The order of the reads matters: last id, writers, log. If the id was
 * drawn before the writers are read, its transaction is among them or has ended; if it ended with a
 * commit, the read of the log, which comes last, sees the notification.
 */
export async function findNotification(
  client: Queryable,
  schema: string,
  id: number,
): Promise<Presence> {
  const lastId = await readLastId(client, schema);
  const writers = await readWriters(client, schema);
  const log = qualified(schema, 'notification_log');
  const { rows } = await client.query(
    `select
       (select to_jsonb(min(id)) from ${log}) as "oldestId",
       (select max(created_at) from (
          select created_at, event_id from ${log} where id < $1 order by id desc limit 100
        ) as before where event_id is null) as "previousAt",
       (select created_at from ${log} where id > $1 order by id limit 1) as "nextAt",
       (select to_jsonb(found) from (
          select id, xid::text, channel, ${keyTextSql('found')} as key,
            extract(epoch from created_at)::float8 * 1000 as "createdMs"
          from ${log} as found where id = $1 limit 1
        ) as found) as entry`,
    [id],
  );
  const found = rows[0] as Found;
  if (found.entry) {
    const { createdMs, ...entry } = found.entry;
    return { code: 'present', entry: { ...entry, createdAt: new Date(createdMs) } };
  }
  if (id > lastId) return { code: 'never_drawn', lastId };
  const holders = writers.filter((writer) => mayHold(writer, found));
  if (holders.length > 0) return { code: 'unseen', writers: holders };
  const { oldestId } = found;
  const gap = await findGap(client, schema, id);
  if (gap !== null || oldestId === null || id < oldestId) return { code: 'removed', oldestId, gap };
  return { code: 'rolled_back' };
}

/**
 * Ids are drawn in order, just before the time is taken. A transaction that began after the next
 * notification was written cannot have drawn this id, nor can one that has been idle since long
 * before an earlier notification was written.
 */
function mayHold({ gid, since, idleSince }: Writer, { previousAt, nextAt }: Found): boolean {
  if (gid !== null) return true;
  if (since !== null && nextAt !== null && since > nextAt) return false;
  return (
    idleSince === null || previousAt === null || +idleSince > previousAt.getTime() - DRAWING_MS
  );
}

/** Finds the newest marker of a cleanup that took notifications around this id from a consumer. */
async function findGap(client: Queryable, schema: string, id: number): Promise<Gap | null> {
  const { rows } = await client.query(
    `select payload::text from (
       select id, action, payload from ${qualified(schema, 'notification_log')}
       where id > $1 order by id desc limit ${SEEN_MAX}
     ) as behind
     where action = 'GAP'
       and $1 between (payload ->> 'first_id')::bigint and (payload ->> 'last_id')::bigint
     order by id desc limit 1`,
    [id],
  );
  const [row] = rows as { payload: string }[];
  return row ? gapOf(row.payload) : null;
}

async function readLastId(client: Queryable, schema: string): Promise<number> {
  const { rows } = await client.query(
    `select to_jsonb(case when is_called then last_value else last_value - 1 end) as id
     from ${qualified(schema, 'notification_log_id_seq')}`,
  );
  return (rows[0] as { id: number }).id;
}

type Found = {
  entry: (Omit<LogEntry, 'createdAt'> & { createdMs: number }) | null;
  oldestId: number | null;
  /**
   * When an earlier notification without an event id was written; publishers with one draw the id
   * before they insert, and may wait.
   */
  previousAt: Date | null;
  nextAt: Date | null;
};

/** More time than ever passes between drawing an id and taking the time. */
const DRAWING_MS = 60_000;

/** No index finds markers. Reading this many notifications takes about a second. */
const SEEN_MAX = 1_000_000;
