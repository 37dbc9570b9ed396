import type { Queryable } from '../database/connect.ts';
import { qualified } from '../database/names.ts';
import type { DaemonActivity } from '../log/positions/activity.ts';

/** A daemon that is alive, and what it reported with its last heartbeat. */
export type DaemonView = {
  daemonId: string;
  host: string;
  pid: number;
  startedAt: Date;
  /** The consumers it wants to run: alone, and shared with others. */
  consumerIds: string[];
  sharedIds: string[];
  activity: DaemonActivity;
};

/**
 * Reads the daemons that are alive, the oldest first, without the consumers that they may not run
 * because a newer version does.
 */
export async function readDaemons(client: Queryable, schema: string): Promise<DaemonView[]> {
  const mayRun = `not ${qualified(schema, 'older_version')}(id, daemon_id)`;
  const { rows } = await client.query(
    `select daemon_id as "daemonId", host, pid, started_at as "startedAt", activity,
       array(select id from unnest(consumer_ids) as id where ${mayRun}) as "consumerIds",
       array(select id from unnest(shared_ids) as id where ${mayRun}) as "sharedIds"
     from ${qualified(schema, 'live_daemon')} order by started_at, daemon_id`,
  );
  return (rows as DaemonView[]).map((row) => ({
    ...row,
    activity: { ...NOTHING_SAID, ...row.activity },
  }));
}

/** 'web-1:4711'. */
export function placeOf({ host, pid }: Pick<DaemonView, 'host' | 'pid'>): string {
  return `${host}:${pid}`;
}

/** For a daemon that has not sent a heartbeat yet, or is of another version. */
const NOTHING_SAID: DaemonActivity = { version: '', mode: 'poll', pollMs: 0, consumers: {} };
