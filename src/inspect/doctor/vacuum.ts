import { countOf } from '../../words.ts';
import type { Check, Finding } from './check.ts';
import type { ServerLimits } from './limits.ts';

/**
 * Whether vacuum keeps up with the tables that change all the time, and freezes the log in time.
 */
export const vacuum: Check = {
  name: 'vacuum',
  runs: 'transaction',
  needs: 'schema',
  async run(client, { config, limits }) {
    const { rows } = await client.query<TableState>(
      `select c.oid::regclass::text as name, coalesce(s.n_dead_tup, 0)::float8 as "deadRows",
         coalesce(s.n_live_tup, 0)::float8 as "liveRows", age(c.relfrozenxid)::float8 as "xidAge"
       from pg_class as c
       join pg_namespace as n on n.oid = c.relnamespace
       left join pg_stat_all_tables as s on s.relid = c.oid
       where n.nspname = $1 and c.relkind = 'r'
       order by c.relname`,
      [config.schema],
    );
    const findings = rows.flatMap((table) => vacuumFindings(table, limits));
    const oldest = Math.max(0, ...rows.map(({ xidAge }) => xidAge));
    return {
      findings,
      seen: `${countOf(rows.length, 'table')}, the oldest ${oldest.toLocaleString('en')} transactions old`,
    };
  },
};

export type TableState = { name: string; deadRows: number; liveRows: number; xidAge: number };

/** What is to be said of a table. */
export function vacuumFindings(table: TableState, limits: ServerLimits): Finding[] {
  const { name, deadRows, liveRows, xidAge } = table;
  return [
    ...(deadRows >= limits.deadRows && deadRows > liveRows
      ? [
          {
            level: 'note' as const,
            what: `Table ${name} has ${deadRows.toLocaleString('en')} dead rows beside ${liveRows.toLocaleString('en')}.`,
            why: 'Vacuum does not keep up, or an old transaction forbids it: every save of a position has to read past them.',
            fix: `vacuum ${name}; and end what "pgwatch doctor" says of old transactions.`,
          },
        ]
      : []),
    ...(xidAge >= XID_AGE_MAX
      ? [
          {
            level: 'problem' as const,
            what: `Table ${name} holds rows that are ${xidAge.toLocaleString('en')} transactions old and not frozen.`,
            why: 'Shortly before 2.1 billion PostgreSQL takes no writes any more, in any database of the cluster.',
            fix: `vacuum (freeze) ${name}; and see what keeps autovacuum from it: an old transaction, or a slot.`,
          },
        ]
      : []),
  ];
}

/**
 * Autovacuum freezes from 200 million on, whatever its settings are, unless something keeps it from
 * that.
 */
const XID_AGE_MAX = 1_000_000_000;
