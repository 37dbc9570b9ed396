import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import type { Position } from './position.ts';
import { IS_PAUSED, POSITION_COLUMNS, type PositionRow, toPosition } from './progress.ts';

/** A registered consumer. */
export type Registered = {
  consumerId: string;
  channels: string[];
  /** The channels that it did not read from its beginning: from which id and since when it does. */
  channelsSince: { channel: string; fromId: number; since: Date }[];
  isShared: boolean;
  isPaused: boolean;
  pausedAt: Date | null;
  pausedUntil: Date | null;
  createdAt: Date;
  /** When its position was last saved. */
  savedAt: Date;
  epoch: number;
  /** Its owner, which may have died since. Null after a clean stop. */
  owner: Owner | null;
  position: Position;
};

export type Owner = {
  daemonId: string;
  /** Null if the daemon is no longer known. */
  host: string | null;
  pid: number | null;
  since: Date;
  isAlive: boolean;
};

/** Reads consumers in the order of their ids. Null: all. */
export async function readRegistered(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[] | null,
): Promise<Registered[]> {
  const { rows } = await client.query<RegisteredRow>(
    `select consumer_id as "consumerId", channels, is_shared as "isShared", coalesce((
         select jsonb_agg(jsonb_build_object('channel', c.channel,
           'fromId', greatest(c.since_id, coalesce(c.since_window_id, 0)) + 1,
           'since', extract(epoch from c.since_at)::float8 * 1000) order by c.since_at, c.channel)
         from ${qualified(schema, 'consumer_channel')} as c
         where c.consumer_id = progress.consumer_id and c.until_at is null
           and c.since_at > progress.created_at and not starts_with(c.channel, 'consumer:')
       ), '[]') as "channelsSince",
       ${IS_PAUSED} as "isPaused", paused_at as "pausedAt", paused_until as "pausedUntil",
       created_at as "createdAt", saved_at as "savedAt", to_jsonb(epoch) as epoch,
       ${POSITION_COLUMNS}, owner, owned_since as "ownedSince", host, pid, is_alive as "isAlive"
     from ${qualified(schema, 'consumer_progress')} as progress
     left join lateral (
       select d.host, d.pid, exists (
         select from ${qualified(schema, 'live_daemon')} as live
         where live.daemon_id = d.daemon_id) as is_alive
       from ${qualified(schema, 'daemon')} as d where d.daemon_id = owner
     ) as daemon on true
     where $1::text[] is null or consumer_id = any($1)
     order by consumer_id`,
    [consumerIds],
  );
  return rows.map(toRegistered);
}

type RegisteredRow = PositionRow &
  Omit<Registered, 'owner' | 'position' | 'channelsSince'> & {
    channelsSince: { channel: string; fromId: number; since: number }[];
    owner: string | null;
    ownedSince: Date | null;
    host: string | null;
    pid: number | null;
    isAlive: boolean | null;
  };

function toRegistered(row: RegisteredRow): Registered {
  const { consumerId, channels, isShared, isPaused, createdAt, savedAt, epoch } = row;
  const { owner, ownedSince, host, pid, isAlive } = row;
  return {
    consumerId,
    channels,
    channelsSince: row.channelsSince.map((each) => ({ ...each, since: new Date(each.since) })),
    isShared,
    isPaused,
    // A pause that has ended by itself stays in the row until it is changed.
    pausedAt: isPaused ? row.pausedAt : null,
    pausedUntil: isPaused ? row.pausedUntil : null,
    createdAt,
    savedAt,
    epoch,
    owner:
      owner === null
        ? null
        : { daemonId: owner, host, pid, since: ownedSince ?? savedAt, isAlive: isAlive ?? false },
    position: toPosition(row),
  };
}
