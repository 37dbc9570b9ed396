import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
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
 * Whether there is anything to be handed out.
 *
 * never_drawn  no transaction has ever asked for this id
 * removed      the log no longer reaches back to it
 * uncommitted  one of these transactions may hold it, and is still open
 * rolled_back  nobody can hold it any longer, and it is not there
 */
export type Presence =
  | { code: 'present'; entry: LogEntry }
  | { code: 'never_drawn'; lastId: number }
  | { code: 'removed'; oldestId: number | null }
  | { code: 'uncommitted'; writers: Writer[] }
  | { code: 'rolled_back' };

/**
 * Looks for a notification. The order decides: an id that was drawn before the look at who writes is
 * held by somebody seen there, or by somebody whose transaction has ended by then, and what that one
 * committed is visible to the look at the log, which comes last.
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
       (select min(id) from ${log})::float8 as "oldestId",
       (select created_at from ${log} where id > $1 order by id limit 1) as "nextAt",
       (select to_jsonb(found) from (
          select id, xid::text, channel, key,
            extract(epoch from created_at)::float8 * 1000 as "createdMs"
          from ${log} where id = $1 limit 1
        ) as found) as entry`,
    [id],
  );
  const { entry, oldestId, nextAt } = rows[0] as Found;
  if (entry) {
    const { createdMs, ...rest } = entry;
    return { code: 'present', entry: { ...rest, createdAt: new Date(createdMs) } };
  }
  if (id > lastId) return { code: 'never_drawn', lastId };
  // Ids are drawn in order: whoever began after the next one was written has not drawn this one.
  const holders = writers.filter(({ since, gid }) => {
    return gid !== null || nextAt === null || since === null || since <= nextAt;
  });
  if (holders.length > 0) return { code: 'uncommitted', writers: holders };
  if (oldestId === null || id < oldestId) return { code: 'removed', oldestId };
  return { code: 'rolled_back' };
}

async function readLastId(client: Queryable, schema: string): Promise<number> {
  const { rows } = await client.query(
    `select (case when is_called then last_value else last_value - 1 end)::float8 as id
     from ${qualified(schema, 'notification_log_id_seq')}`,
  );
  return (rows[0] as { id: number }).id;
}

type Found = {
  entry: (Omit<LogEntry, 'createdAt'> & { createdMs: number }) | null;
  oldestId: number | null;
  nextAt: Date | null;
};
