import { qualified } from '../../database/names.ts';
import { formatDuration } from '../../time.ts';
import type { Check, Finding } from './check.ts';

/** Finds daemons that have died, hang, or cannot be woken. */
export const daemons: Check = {
  name: 'daemons',
  runs: 'transaction',
  needs: 'schema',
  async run(client, { config }) {
    const table = (name: string) => qualified(config.schema, name);
    const { rows } = await client.query<DaemonState>(
      `select d.host, d.pid, d.has_lock as "hasLock", l.daemon_id is not null as "isAlive",
         extract(epoch from clock_timestamp() - d.alive_until)::float8 * 1000 as "silentMs",
         d.activity ->> 'mode' as mode, d.activity ->> 'version' as version,
         exists (
           select from pg_locks as k
           where k.locktype = 'advisory' and k.objsubid = 2 and k.granted
             and k.database = (select oid from pg_database where datname = current_database())
             and k.classid = (${table('daemon_class')}()::bigint & 4294967295)::oid
             and k.objid = (hashtext(d.daemon_id::text)::bigint & 4294967295)::oid) as "isConnected"
       from ${table('daemon')} as d
       left join ${table('live_daemon')} as l on l.daemon_id = d.daemon_id
       where d.alive_until > now() - interval '1 day'
       order by d.started_at, d.daemon_id`,
    );
    const alive = rows.filter(({ isAlive }) => isAlive);
    const findings = [...rows.flatMap(daemonFindings), ...versionsOf(alive)];
    return { findings, seen: `${alive.length} alive` };
  },
};

export type DaemonState = {
  host: string;
  pid: number;
  hasLock: boolean;
  isAlive: boolean;
  /** How long ago its last heartbeat expired; negative if it has not. */
  silentMs: number;
  isConnected: boolean;
  /** As in DaemonActivity; null until it has reported them. */
  mode: string | null;
  version: string | null;
};

/** Findings about one daemon. */
export function daemonFindings(daemon: DaemonState): Finding[] {
  const { host, pid, hasLock, isAlive, silentMs, isConnected, mode } = daemon;
  const name = `The daemon with pid ${pid} on ${host}`;
  if (isAlive && hasLock) return mode === 'poll' ? [polling(name)] : [];
  if (isAlive) {
    return [
      {
        level: 'note',
        what: `${name} has no session lock: it runs behind a transaction pooler.`,
        why:
          'It cannot be woken, so it polls; ' +
          'if it dies, others notice only after several heartbeats.',
        fix: 'Set directUrl in its config to a connection string that bypasses the pooler.',
      },
    ];
  }
  if (isConnected && silentMs > 0) {
    return [
      {
        level: 'problem',
        what:
          `${name} is still connected, ` +
          `but has missed its heartbeats for ${formatDuration(silentMs)}.`,
        why: 'It hangs, or is suspended; other daemons, if any, take over its consumers.',
        fix: `On ${host}, check what pid ${pid} is doing. If it does nothing: kill -9 ${pid}`,
      },
    ];
  }
  const since = silentMs > 0 ? `, ${formatDuration(silentMs)} ago` : '';
  return [
    {
      level: 'note',
      what: `${name} ended without stopping cleanly${since}.`,
      why:
        'It crashed, was killed, or lost its network. ' +
        'Its notifications are delivered again, one at a time.',
      fix:
        `Check its last output, and the memory of ${host}; stop daemons with SIGTERM. ` +
        'This finding disappears after a day.',
    },
  ];
}

function polling(name: string): Finding {
  return {
    level: 'note',
    what: `${name} polls: LISTEN does not work for it.`,
    why: 'Notifications wait for its next poll. It tries LISTEN again from time to time.',
    fix: 'See the findings of listen, queue and connection; its output says why LISTEN failed.',
  };
}

function versionsOf(alive: readonly DaemonState[]): Finding[] {
  const versions = [...new Set(alive.flatMap(({ version }) => version ?? []))].sort();
  if (versions.length < 2) return [];
  return [
    {
      level: 'note',
      what: `Daemons of different versions are running: ${versions.join(', ')}.`,
      why:
        'Expected during a rolling update; otherwise the older one was left behind, ' +
        'and stops working after the next migration.',
      fix: 'npm install pgwatch@latest where the older ones run, then restart them.',
    },
  ];
}
