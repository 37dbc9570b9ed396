import { countOf } from '../../words.ts';
import type { Check, Finding } from './check.ts';
import type { ServerLimits } from './limits.ts';

/** Checks that vacuum keeps up with tables that change constantly, and freezes the log in time. */
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
    const age = `${oldest.toLocaleString('en')} transactions`;
    return { findings, seen: `${countOf(rows.length, 'table')}, the oldest ${age} old` };
  },
};

export type TableState = { name: string; deadRows: number; liveRows: number; xidAge: number };

/** Findings about one table. */
export function vacuumFindings(table: TableState, limits: ServerLimits): Finding[] {
  const { name, deadRows, liveRows, xidAge } = table;
  return [
    ...(deadRows >= limits.deadRows && deadRows > liveRows
      ? [
          {
            level: 'note' as const,
            what:
              `Table ${name} has ${deadRows.toLocaleString('en')} dead rows ` +
              `and ${liveRows.toLocaleString('en')} live ones.`,
            why:
              'Vacuum does not keep up, or an old transaction holds it back: ' +
              'every save of a position has to read past the dead rows.',
            fix: `vacuum ${name}; and end old transactions (see the findings of transactions).`,
          },
        ]
      : []),
    ...(xidAge >= XID_AGE_MAX
      ? [
          {
            level: 'problem' as const,
            what:
              `Table ${name} has unfrozen rows that are ` +
              `${xidAge.toLocaleString('en')} transactions old.`,
            why:
              'Shortly before 2.1 billion, PostgreSQL stops accepting writes ' +
              'in all databases of the cluster.',
            fix:
              `vacuum (freeze) ${name}; and check what prevents autovacuum: ` +
              'an old transaction, or a replication slot.',
          },
        ]
      : []),
  ];
}

/** Autovacuum freezes from 200 million on, whatever its settings, unless something prevents it. */
const XID_AGE_MAX = 1_000_000_000;
