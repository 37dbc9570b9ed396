import { qualified } from '../../database/names.ts';
import type { Check, Finding } from './check.ts';

/** Whether the server has room for a daemon: connections, and locks on all partitions. */
export const capacity: Check = {
  name: 'capacity',
  runs: 'transaction',
  needs: 'nothing',
  async run(client, { config }) {
    const { rows } = await client.query<Capacity>(
      `select current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(current_setting('reserved_connections', true), '0')::integer as connections,
         (select count(*)::integer from pg_stat_activity
           where usesysid is not null and coalesce(backend_type, 'client backend') = 'client backend') as used,
         (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user) as "roleLimit",
         (select nullif(datconnlimit, -1) from pg_database where datname = current_database()) as "databaseLimit",
         current_setting('max_locks_per_transaction')::integer * (
           current_setting('max_connections')::integer
           + current_setting('max_prepared_transactions')::integer) as locks,
         (select count(*)::integer from pg_inherits where inhparent = to_regclass($1)) as partitions`,
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
  /** That others than superusers may have. */
  connections: number;
  used: number;
  roleLimit: number | null;
  databaseLimit: number | null;
  /** That fit into the server's table of locks. */
  locks: number;
  partitions: number;
};

/** What is to be said of them. */
export function capacityFindings(found: Capacity, poolSize: number): Finding[] {
  return [...connectionFindings(found, poolSize), ...lockFindings(found, poolSize)];
}

function connectionFindings(found: Capacity, poolSize: number): Finding[] {
  const { connections, used, roleLimit, databaseLimit } = found;
  const needed = poolSize + 1;
  const limits = [
    { limit: connections, name: 'max_connections, less those that are reserved' },
    { limit: roleLimit ?? connections, name: 'the connection limit of this role' },
    { limit: databaseLimit ?? connections, name: 'the connection limit of this database' },
  ];
  const least = limits.reduce((a, b) => (b.limit < a.limit ? b : a));
  if (least.limit < needed) {
    return [
      {
        level: 'problem',
        what: `One daemon may open ${needed} connections (poolSize ${poolSize} and one more), and ${least.name} allows ${least.limit}.`,
        why: 'Under load its reads and its handlers fail for want of a connection.',
        fix: `Set poolSize in the config to ${Math.max(2, least.limit - 1)} or less, or raise the limit.`,
      },
    ];
  }
  if (used <= connections * CROWDED) return [];
  return [
    {
      level: 'note',
      what: `${used} of ${connections} connections are in use.`,
      why: `A daemon that reconnects, or one more, may be refused; each opens up to ${needed}.`,
      fix: 'Raise max_connections, lower the poolSize of what connects, or put a pooler before the applications.',
    },
  ];
}

/**
 * A read of the log locks each partition and its two indexes; so many connections of a daemon read
 * it.
 */
function lockFindings({ locks, partitions }: Capacity, poolSize: number): Finding[] {
  const needed = 3 * partitions * (Math.min(poolSize, READERS_MAX) + 1);
  if (needed <= locks / 2) return [];
  return [
    {
      level: 'note',
      what: `The log has ${partitions} partitions: one daemon may hold ${needed} locks at once, of the ${locks} that the server has room for.`,
      why: 'Where they run out, statements of anybody fail with "out of shared memory".',
      fix: 'Remove old partitions: pgwatch cleanup --days 7. Or raise max_locks_per_transaction, which takes a restart.',
    },
  ];
}

const CROWDED = 0.9;
/** Of the pool; the control connection is one more. */
const READERS_MAX = 4;
