import type { ClientBase } from 'pg';

/** The properties of a PostgreSQL type that determine the JSON of its values. */
export type ColumnType =
  | { kind: 'boolean' | 'integer' | 'number' | 'json' | 'text' }
  | { kind: 'enum'; labels: string[] }
  | { kind: 'array'; element: ColumnType; isElementNullable: boolean; dimensions: number }
  | { kind: 'composite'; attributes: TypedColumn[] };

export type TypedColumn = { name: string; type: ColumnType; isNullable: boolean };

/** Reads the columns of tables by table oid, in their order, without virtual ones. */
export async function readTypedColumns(
  client: ClientBase,
  tableOids: readonly number[],
): Promise<Map<number, TypedColumn[]>> {
  const { rows: tables } = await client.query<{ oid: number; columns: FoundColumn[] }>(
    `select c.oid::int8::float8 as oid, ${columnsOf('c.oid')} as columns
     from pg_catalog.pg_class as c where c.oid = any($1::oid[])`,
    [tableOids],
  );
  const typeOids = tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid));
  const { rows } = await client.query<FoundType>(TYPES, [typeOids]);
  const types = new Map(rows.map((type) => [type.oid, type]));
  return new Map(
    tables.map(({ oid, columns }) => [oid, columns.map((each) => typed(each, types))]),
  );
}

type FoundColumn = { name: string; typeOid: number; dimensions: number; isNotNull: boolean };

type FoundType = {
  oid: number;
  kind: ColumnType['kind'] | 'domain';
  isNotNull: boolean;
  baseOid: number;
  elementOid: number;
  dimensions: number;
  labels: string[];
  attributes: FoundColumn[];
};

type Types = ReadonlyMap<number, FoundType>;

function typed({ name, typeOid, dimensions, isNotNull }: FoundColumn, types: Types): TypedColumn {
  const { type, isNullable } = resolve(typeOid, dimensions, types);
  return { name, type, isNullable: isNullable && !isNotNull };
}

/** The recursion ends, because PostgreSQL forbids types that contain themselves. */
function resolve(
  oid: number,
  dimensions: number,
  types: Types,
): { type: ColumnType; isNullable: boolean } {
  const found = types.get(oid);
  // The type may have been dropped between the two statements.
  if (!found) return { type: { kind: 'json' }, isNullable: true };
  const { kind } = found;
  switch (kind) {
    case 'domain': {
      const base = resolve(found.baseOid, found.dimensions, types);
      return { ...base, isNullable: base.isNullable && !found.isNotNull };
    }
    case 'array': {
      const element = resolve(found.elementOid, 0, types);
      const type = { kind, element: element.type, isElementNullable: element.isNullable };
      return { type: { ...type, dimensions: Math.max(1, dimensions) }, isNullable: true };
    }
    case 'composite': {
      const attributes = found.attributes.map((each) => typed(each, types));
      return { type: { kind, attributes }, isNullable: true };
    }
    case 'enum':
      return { type: { kind, labels: found.labels }, isNullable: true };
    default:
      return { type: { kind }, isNullable: true };
  }
}

/** A constraint that was not validated does not cover older rows. */
const IS_NOT_NULL = `a.attnotnull and not exists (
  select from pg_catalog.pg_constraint as n
  where n.conrelid = a.attrelid and n.contype = 'n' and not n.convalidated
    and n.conkey = array[a.attnum])`;

const columnsOf = (relation: string, isNotNull = IS_NOT_NULL) => `(
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname, 'typeOid', a.atttypid::int8, 'dimensions', a.attndims,
      'isNotNull', ${isNotNull}) order by a.attnum), '[]')
  from pg_catalog.pg_attribute as a
  where a.attrelid = ${relation} and a.attnum > 0 and not a.attisdropped
    and a.attgenerated <> 'v')`;

/**
 * The types in parameter 1 and all types they contain. The kind of a type is determined as in
 * to_jsonb(), in the same order; that also looks for a cast to json, but only for types that do not
 * come with PostgreSQL.
 */
const TYPES = `
with recursive reached (oid) as (
  select pg_catalog.unnest($1::oid[])
  union
  select part.oid
  from reached
  join pg_catalog.pg_type as t on t.oid = reached.oid
  cross join lateral (
    select t.typelem where t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
    union all
    select t.typbasetype where t.typtype = 'd'
    union all
    select a.atttypid from pg_catalog.pg_attribute as a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) as part (oid)
)
select t.oid::int8::float8 as oid, t.typnotnull as "isNotNull", t.typndims as dimensions,
  t.typbasetype::int8::float8 as "baseOid", t.typelem::int8::float8 as "elementOid",
  array(select e.enumlabel::text from pg_catalog.pg_enum as e
    where e.enumtypid = t.oid order by e.enumsortorder) as labels,
  case t.typtype when 'c' then ${columnsOf('t.typrelid', 'false')} else '[]' end as attributes,
  case
    when t.typtype = 'd' then 'domain'
    when t.oid = 'pg_catalog.bool'::pg_catalog.regtype then 'boolean'
    when t.oid = any('{pg_catalog.int2,pg_catalog.int4}'::pg_catalog.regtype[]) then 'integer'
    when t.oid = any(
      '{pg_catalog.int8,pg_catalog.numeric,pg_catalog.float4,pg_catalog.float8}'
      ::pg_catalog.regtype[]) then 'number'
    when t.oid = any('{pg_catalog.json,pg_catalog.jsonb}'::pg_catalog.regtype[]) then 'json'
    when t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc then 'array'
    when t.typtype = 'c' then 'composite'
    when t.oid >= 16384 and exists (
      select from pg_catalog.pg_cast as cast_
      where cast_.castsource = t.oid and cast_.casttarget = 'pg_catalog.json'::pg_catalog.regtype
        and cast_.castmethod = 'f') then 'json'
    when t.typtype = 'e' then 'enum'
    else 'text'
  end as kind
from reached
join pg_catalog.pg_type as t on t.oid = reached.oid`;
