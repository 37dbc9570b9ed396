import type { Queryable } from '../database/connect.ts';
import type { Names } from '../database/names.ts';
import { triggerFunction } from './table.ts';
import { tableText } from './table-name.ts';
import { IS_SUBSCRIBED } from './table-sql.ts';

/**
 * Changes of a captured table that are lost or published wrongly, as the table and its triggers are
 * now.
 *
 * - parent: it became a part of another table. A statement on that table fires only the statement
 *   triggers of that table.
 * - children: it was given children, whose rows are published under its name.
 * - subscription: a subscription writes to it, which fires no ordinary triggers and no statement
 *   triggers.
 * - partition: triggers of partitions do not fire.
 * - silent: triggers of its own do not fire.
 */
export type Loss = {
  tableOid: number;
  kind: 'parent' | 'children' | 'subscription' | 'partition' | 'silent';
  /** For people, a full sentence. */
  sentence: string;
};

/** Reads the losses of these captured tables, or of all. Any role may call it. */
export async function readLosses(
  client: Queryable,
  names: Names,
  tableOids: readonly number[] | null = null,
): Promise<Loss[]> {
  const { rows } = await client.query(LOSSES_SQL, [triggerFunction(names), tableOids]);
  return (rows as Found[]).flatMap(lossesOf);
}

type Found = {
  tableOid: number;
  schema: string;
  name: string;
  hasStatement: boolean;
  isAlways: boolean;
  isSubscribed: boolean;
  silent: string[];
  parents: string[];
  children: string[];
  partitions: string[];
};

function lossesOf(found: Found): Loss[] {
  const { tableOid, hasStatement, isSubscribed, isAlways } = found;
  const { parents, children, partitions, silent } = found;
  const name = tableText(found);
  const losses: [Loss['kind'], boolean, string][] = [
    [
      'parent',
      hasStatement && parents.length > 0,
      `${name} has become a part of ${parents.join(', ')}: changes made through` +
        ` ${parents.length > 1 ? 'those tables' : 'that table'} are lost,` +
        ' because its triggers are for each statement.',
    ],
    [
      'children',
      hasStatement && children.length > 0,
      `${children.join(', ')} now ${children.length > 1 ? 'inherit' : 'inherits'} from ${name}:` +
        ` rows that are changed through ${name} are published as its own.`,
    ],
    [
      'subscription',
      isSubscribed && (hasStatement || !isAlways),
      `A subscription writes to ${name}: its changes are lost, because it fires only row triggers` +
        ' that are enabled always.',
    ],
    [
      'partition',
      partitions.length > 0,
      `Triggers of ${partitions.join(', ')} do not fire: changes made there are lost.`,
    ],
    [
      'silent',
      silent.length > 0,
      `Triggers of ${name} do not fire (${silent.join(', ')}): changes are lost.`,
    ],
  ];
  return losses.flatMap(([kind, isSo, sentence]) => (isSo ? [{ tableOid, kind, sentence }] : []));
}

// The bits of tgtype are PostgreSQL's TRIGGER_TYPE_ROW 1, INSERT 4, DELETE 8, UPDATE 16
// (pg_trigger.h).
const LOSSES_SQL = `
select c.oid::int8::float8 as "tableOid", n.nspname as schema, c.relname as name,
  own."hasStatement", own.silent,
  own."isAlways" and not exists (
    select from pg_catalog.pg_partition_tree(c.oid) as part
    join pg_catalog.pg_trigger as t on t.tgrelid = part.relid and t.tgparentid <> 0
    where t.tgfoid = pg_catalog.to_regprocedure($1) and t.tgenabled <> 'A') as "isAlways",
  ${IS_SUBSCRIBED} as "isSubscribed",
  array(
    select pg_catalog.concat(pn.nspname, '.', p.relname)
    from pg_catalog.pg_inherits as i
    join pg_catalog.pg_class as p on p.oid = i.inhparent
    join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
    where i.inhrelid = c.oid order by 1) as parents,
  array(
    select pg_catalog.concat(kn.nspname, '.', k.relname)
    from pg_catalog.pg_inherits as i
    join pg_catalog.pg_class as k on k.oid = i.inhrelid
    join pg_catalog.pg_namespace as kn on kn.oid = k.relnamespace
    where i.inhparent = c.oid and c.relkind = 'r' order by 1) as children,
  array(
    select distinct pg_catalog.concat(pn.nspname, '.', p.relname)
    from pg_catalog.pg_partition_tree(c.oid) as part
    join pg_catalog.pg_class as p on p.oid = part.relid
    join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
    join pg_catalog.pg_trigger as t on t.tgrelid = p.oid and t.tgparentid <> 0
    where t.tgfoid = pg_catalog.to_regprocedure($1) and t.tgenabled in ('D', 'R')
    order by 1) as partitions
from (
  select t.tgrelid,
    pg_catalog.bool_or(t.tgtype::int & 1 = 0 and t.tgtype::int & 28 <> 0) as "hasStatement",
    pg_catalog.bool_and(t.tgenabled = 'A') as "isAlways",
    coalesce(pg_catalog.array_agg(t.tgname::text order by t.tgname)
      filter (where t.tgenabled in ('D', 'R')), '{}') as silent
  from pg_catalog.pg_trigger as t
  where t.tgfoid = pg_catalog.to_regprocedure($1) and t.tgparentid = 0
    and ($2::oid[] is null or t.tgrelid = any($2::oid[]))
  group by t.tgrelid) as own
join pg_catalog.pg_class as c on c.oid = own.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
order by n.nspname, c.relname`;
