import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { settingsSql, withTransaction } from '../../database/transaction.ts';
import { errorCodeOf } from '../../errors.ts';
import { consumerChannel } from '../channels.ts';
import { wakeOrphans } from '../deliveries/wake-orphans.ts';
import { tellDaemons } from '../positions/daemons.ts';
import { reachedSql } from '../positions/settled-sql.ts';
import { lockPending, lockTaking } from './locks.ts';
import { type InUse, readUsers } from './remove-consumer.ts';

/** What was moved to the new id. */
export type Renamed = {
  from: string;
  to: string;
  /** The highest id that it had settled. */
  doneId: number;
  retrying: number;
  blocked: number;
  dead: number;
  leases: number;
  snapshots: number;
};

/**
 * The outcome. unknown: there is no such consumer. in_use: a live daemon uses it. taken: the
 * consumer with the new id has done work.
 */
export type Renaming =
  | { is: 'renamed'; renamed: Renamed }
  | { is: 'unknown' }
  | { is: 'in_use'; inUse: InUse[] }
  | { is: 'taken'; doneId: number };

/**
 * Gives a consumer another id, with its position and all its pending work. A consumer that is
 * already registered with the new id, but has done nothing yet, is replaced, even while a daemon
 * runs it: the daemon loses it, and takes it over again at the position of the renamed one.
 */
export async function renameConsumer(
  client: ClientBase,
  schema: string,
  names: { from: string; to: string },
): Promise<Renaming> {
  try {
    return await rename(client, schema, names);
  } catch (thrown) {
    // A daemon has just registered the new one.
    if (errorCodeOf(thrown) !== UNIQUE_VIOLATION) throw thrown;
    return rename(client, schema, names);
  }
}

async function rename(
  client: ClientBase,
  schema: string,
  { from, to }: { from: string; to: string },
): Promise<Renaming> {
  return withTransaction(client, async () => {
    for (const id of [from, to].sort()) await lockTaking(client, schema, id);
    await client.query(settingsSql({ lock_timeout: '5s' }, 'transaction'));
    const { rows } = await client.query<Row>(
      `select progress.consumer_id as id, ${reachedSql('progress')}::float8 as "doneId",
         ${hasWorkedSql(schema)} as "hasWorked"
       from ${qualified(schema, 'consumer_progress')} as progress
       where consumer_id = any($1) order by consumer_id for update`,
      [[from, to]],
    );
    const old = rows.find(({ id }) => id === from);
    const taken = rows.find(({ id }) => id === to);
    if (!old) return { is: 'unknown' };
    const inUse = await readUsers(client, schema, from);
    if (inUse.length > 0) return { is: 'in_use', inUse };
    if (taken?.hasWorked) return { is: 'taken', doneId: taken.doneId };
    await lockPending(client, schema, from);
    const counts = await move(client, schema, { from, to });
    return { is: 'renamed', renamed: { from, to, doneId: old.doneId, ...counts } };
  });
}

type Row = { id: string; doneId: number; hasWorked: boolean };

/** The condition that a consumer has got past its beginning, was moved, or has anything pending. */
function hasWorkedSql(schema: string): string {
  const has = (table: string) =>
    `exists (
      select from ${qualified(schema, table)} as own
      where own.consumer_id = progress.consumer_id)`;
  return `(${reachedSql('progress')} > progress.began_id or progress.moved_at is not null
    or ${has('delivery')} or ${has('lease')} or ${has('snapshot')})`;
}

async function move(
  client: ClientBase,
  schema: string,
  { from, to }: { from: string; to: string },
): Promise<Omit<Renamed, 'from' | 'to' | 'doneId'>> {
  const progress = qualified(schema, 'consumer_progress');
  const gone = await client.query<{ epoch: string }>(
    `delete from ${progress} where consumer_id = $1 returning epoch::text`,
    [to],
  );
  for (const table of ['consumer_channel', 'discarded']) {
    await client.query(`delete from ${qualified(schema, table)} where consumer_id = $1`, [to]);
  }
  // A snapshot in progress finishes its batch before this, and finds itself removed afterwards.
  const moved: number[] = [];
  for (const table of ['snapshot', 'consumer_channel', 'delivery', 'discarded']) {
    const { rowCount } = await client.query(
      `update ${qualified(schema, table)} set consumer_id = $2 where consumer_id = $1`,
      [from, to],
    );
    moved.push(rowCount ?? 0);
  }
  const leases = await moveLeases(client, schema, { from, to });
  const [own, next] = [consumerChannel(from), consumerChannel(to)];
  await moveOwn(client, schema, { to, own, next });
  // The new epoch is above those of both, so a daemon that runs the new one can save nothing more.
  await client.query(
    `update ${progress} set consumer_id = $2, channels = array_replace(channels, $3, $4),
       epoch = greatest(epoch, $5::bigint) + 1, owner = null, owned_since = null
     where consumer_id = $1`,
    [from, to, own, next, gone.rows[0]?.epoch ?? '0'],
  );
  await wakeOrphans(client, schema, to);
  await tellDaemons(client, schema, 'owners');
  const { rows } = await client.query(
    `select count(*) filter (where state = 'retry')::float8 as retrying,
       count(*) filter (where state = 'blocked')::float8 as blocked,
       count(*) filter (where state = 'dead')::float8 as dead
     from ${qualified(schema, 'delivery')} where consumer_id = $1`,
    [to],
  );
  const counts = rows[0] as Pick<Renamed, 'retrying' | 'blocked' | 'dead'>;
  return { ...counts, leases, snapshots: moved[0] ?? 0 };
}

/**
 * Gives the leases new ids, in order. A daemon that already runs the new consumer does not look
 * below the ids that it has seen, and would take later leases of their slots first.
 */
async function moveLeases(
  client: ClientBase,
  schema: string,
  { from, to }: { from: string; to: string },
): Promise<number> {
  const lease = qualified(schema, 'lease');
  const { rowCount } = await client.query(
    `with gone as (delete from ${lease} where consumer_id = $1 returning *)
     insert into ${lease} (consumer_id, slot, notification_ids, kind, owner, epoch)
     select $2, slot, notification_ids, kind, owner, epoch from gone order by lease_id`,
    [from, to],
  );
  return rowCount ?? 0;
}

/**
 * Renames the channel that only this consumer reads, on which snapshots and gap markers arrive. Its
 * notifications keep their places, and are found under the new name. There is no index on channels,
 * so this reads the whole log.
 */
async function moveOwn(
  client: ClientBase,
  schema: string,
  { to, own, next }: { to: string; own: string; next: string },
): Promise<void> {
  await client.query(
    `update ${qualified(schema, 'notification_log')} set channel = $2 where channel = $1`,
    [own, next],
  );
  await client.query(
    `update ${qualified(schema, 'consumer_channel')} set channel = $2
     where consumer_id = $3 and channel = $1`,
    [own, next, to],
  );
  await client.query(
    `update ${qualified(schema, 'delivery')}
     set notification = notification || jsonb_build_object('channel', $2::text)
     where consumer_id = $3 and notification ->> 'channel' = $1`,
    [own, next, to],
  );
}

const UNIQUE_VIOLATION = '23505';
