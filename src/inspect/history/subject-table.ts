import type { ClientBase } from 'pg';
import {
  argumentsOf,
  type ExistingCapture,
  excludedBy,
  readCaptures,
  rowPublishers,
} from '../../capture/existing.ts';
import type { CaptureArgument } from '../../capture/plan.ts';
import type { TableName } from '../../capture/table-name.ts';
import { OPERATIONS } from '../../config/triggers.ts';
import type { Names } from '../../database/names.ts';

/** A column as it is in the table now. */
export type SubjectColumn = {
  name: string;
  /** As format_type() writes it, with its schema. */
  type: string;
  /** The built-in type of the column, or of its domain; null for a user-defined type. */
  ownType: string | null;
  /** The category of the type, as in pg_type: values of some can be compared as they are. */
  category: string;
  isJson: boolean;
  /**
   * Its type is, or contains, one with a user-defined cast to JSON, from which its values cannot be
   * read back.
   */
  isOneWay: boolean;
  /** Its type is, or contains, json: the log replaces what jsonb cannot hold. */
  isReplaced: boolean;
  isGenerated: boolean;
  isIdentityAlways: boolean;
};

/** A table that exists; for a partition, its root. */
export type SubjectTable = {
  schema: string;
  name: string;
  primaryKey: string[];
  columns: SubjectColumn[];
  /** The columns that form the key of its notifications. */
  captureKey: string[];
  /** What its capture leaves out of the log. */
  omissions: string[];
};

/** Finds a table by its name, in the first schema that has it; for a partition, its root. */
export async function readSubjectTable(
  client: ClientBase,
  names: Names,
  { schema, name }: TableName,
  schemas: readonly string[],
): Promise<SubjectTable | null> {
  const { rows } = await client.query<{ oid: number } & SubjectTable>(TABLE_SQL, [
    name,
    schema === null ? schemas : [schema],
  ]);
  const [found] = rows;
  if (!found) return null;
  const { oid, ...table } = found;
  const [capture] = await readCaptures(client, names, [oid]);
  const triggers = capture?.triggers ?? [];
  const first = { ...argumentsOf(rowPublishers(triggers)[0]), exclude: excludedBy(triggers) };
  return { ...table, captureKey: [...(first.key ?? [])], omissions: omissionsOf(capture, first) };
}

function omissionsOf(
  capture: ExistingCapture | undefined,
  { payload, exclude, columns, when }: CaptureArgument,
): string[] {
  if (!capture) return ['current changes, since no trigger captures the table'];
  const missing = OPERATIONS.filter(
    (operation) => !capture.triggers.some(({ operations }) => operations.includes(operation)),
  );
  return [
    ...missing.map((operation) => `${operation}s`),
    ...(payload === 'keys' ? ['rows, except their keys'] : []),
    ...(exclude?.length ? [`the columns ${exclude.join(', ')}`] : []),
    ...(columns?.length ? [`updates that do not change ${columns.join(', ')}`] : []),
    ...(when ? [`rows that do not match ${when}`] : []),
  ];
}

/** The type of the column a, and the types that it contains. */
const PARTS_SQL = `(
  with recursive part (oid) as (
    select a.atttypid
    union
    select inner_part.oid from part
    join pg_catalog.pg_type as made on made.oid = part.oid
    cross join lateral (
      select made.typbasetype
      union all
      select made.typelem where made.typlen = -1
      union all
      select piece.atttypid from pg_catalog.pg_attribute as piece
      where piece.attrelid = made.typrelid and piece.attnum > 0 and not piece.attisdropped
    ) as inner_part (oid))
  select part.oid from part where part.oid <> 0)`;

/** Parameters: 1 the name, 2 the schemas in order of preference. For a partition, its root. */
const TABLE_SQL = `
select c.oid::int8::float8 as oid, n.nspname as schema, c.relname as name,
  array(
    select a.attname::text
    from pg_catalog.pg_index as i
    cross join lateral pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = c.oid and i.indisprimary order by k.position) as "primaryKey",
  (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
      'ownType', (
        with recursive base (oid, typmod) as (
          select a.atttypid, a.atttypmod
          union all
          select d.typbasetype, d.typtypmod from base
          join pg_catalog.pg_type as d on d.oid = base.oid where d.typtype = 'd'
        )
        select pg_catalog.format_type(own.oid, base.typmod)
        from base join pg_catalog.pg_type as own on own.oid = base.oid
        where own.typtype <> 'd' and own.typnamespace = 'pg_catalog'::pg_catalog.regnamespace),
      'category', case when t.typname in ('uuid', 'bytea') then 'S' else t.typcategory::text end,
      'isJson', coalesce(nullif(t.typbasetype, 0), t.oid)
        in ('json'::pg_catalog.regtype, 'jsonb'::pg_catalog.regtype),
      'isOneWay', exists (
        select from ${PARTS_SQL} as part (oid)
        where exists (select from pg_catalog.pg_cast as made
            join pg_catalog.pg_type as own on own.oid = made.castsource and own.typtype <> 'c'
            where made.castsource = part.oid and made.casttarget = 'json'::pg_catalog.regtype
              and made.castmethod = 'f')),
      'isReplaced', 'json'::pg_catalog.regtype in (select part.oid from ${PARTS_SQL} as part (oid)),
      'isGenerated', a.attgenerated <> '', 'isIdentityAlways', a.attidentity = 'a'
    ) order by a.attnum), '[]')
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_type as t on t.oid = a.atttypid
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
from pg_catalog.pg_class as named
join pg_catalog.pg_namespace as place on place.oid = named.relnamespace
join pg_catalog.pg_class as c
  on c.oid = coalesce(pg_catalog.pg_partition_root(named.oid), named.oid)
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where named.relname = $1 and place.nspname = any($2::text[]) and named.relkind in ('r', 'p')
order by pg_catalog.array_position($2::text[], place.nspname::text) limit 1`;
