import { qualified } from '../../database/names.ts';
import type { Check, Finding } from './check.ts';

/** Checks that the server has room for a daemon: connections, and locks on all partitions. */
export const capacity: Check = {
  name: 'capacity',
  runs: 'transaction',
  needs: 'nothing',
  async run(client, { config }) {
    const { rows } = await client.query<Capacity>(
      `select current_setting('max_connections')::integer
           - current_setting('superuser_reserved_connections')::integer
           - coalesce(current_setting('reserved_connections', true), '0')::integer as connections,
         (select count(*)::integer from pg_stat_activity
           where usesysid is not null
             and coalesce(backend_type, 'client backend') = 'client backend') as used,
         (select nullif(rolconnlimit, -1) from pg_roles
           where rolname = current_user) as "roleLimit",
         (select nullif(datconnlimit, -1) from pg_database
           where datname = current_database()) as "databaseLimit",
         current_setting('max_locks_per_transaction')::integer * (
           current_setting('max_connections')::integer
           + current_setting('max_prepared_transactions')::integer) as locks,
         (select count(*)::integer from pg_inherits
           where inhparent = to_regclass($1)) as partitions`,
      [qualified(config.schema, 'notification_log')],
    );
    const [found] = rows as [Capacity];
    const { used, connections } = found;
    return {
      findings: capacityFindings(found, config.poolSize),
      seen: `${used} of ${connections} connections in use`,
    };
  },
};

export type Capacity = {
  /** Open to roles that are not superusers. */
  connections: number;
  used: number;
  roleLimit: number | null;
  databaseLimit: number | null;
  /** What the server's lock table holds. */
  locks: number;
  partitions: number;
};

/** Findings about the room for a daemon with this pool size. */
export function capacityFindings(found: Capacity, poolSize: number): Finding[] {
  return [...connectionFindings(found, poolSize), ...lockFindings(found, poolSize)];
}

function connectionFindings(found: Capacity, poolSize: number): Finding[] {
  const { connections, used, roleLimit, databaseLimit } = found;
  const needed = poolSize + 1;
  const limits = [
    { limit: connections, name: 'max_connections minus the reserved connections' },
    { limit: roleLimit ?? connections, name: 'the connection limit of this role' },
    { limit: databaseLimit ?? connections, name: 'the connection limit of this database' },
  ];
  const least = limits.reduce((a, b) => (b.limit < a.limit ? b : a));
  if (least.limit < needed) {
    return [
      {
        level: 'problem',
        what:
          `One daemon may open ${needed} connections (poolSize ${poolSize} and one more), ` +
          `but ${least.name} allows ${least.limit}.`,
        why: 'Under load, its reads and handlers fail because they get no connection.',
        fix:
          `Set poolSize in the config to ${Math.max(2, least.limit - 1)} or less, ` +
          'or raise the limit.',
      },
    ];
  }
  if (used <= connections * CROWDED) return [];
  return [
    {
      level: 'note',
      what: `${used} of ${connections} connections are in use.`,
      why: `A daemon that starts or reconnects may be refused; each opens up to ${needed}.`,
      fix: 'Raise max_connections, lower poolSize, or put a pooler in front of the applications.',
    },
  ];
}

/** Each connection that reads the log locks each of its partitions and their two indexes. */
function lockFindings({ locks, partitions }: Capacity, poolSize: number): Finding[] {
  const needed = 3 * partitions * (Math.min(poolSize, READERS_MAX) + 1);
  if (needed <= locks / 2) return [];
  return [
    {
      level: 'note',
      what:
        `The log has ${partitions} partitions: one daemon may hold ${needed} locks at once, ` +
        `and the server has room for ${locks}.`,
      why: 'When they run out, statements of all sessions fail with "out of shared memory".',
      fix:
        'pgwatch cleanup --days 7 removes old partitions; ' +
        'or raise max_locks_per_transaction, which requires a restart.',
    },
  ];
}

const CROWDED = 0.9;
/** Connections of the pool that read the log; the control connection is one more. */
const READERS_MAX = 4;
