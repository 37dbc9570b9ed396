/** Two tables to be captured, the second partitioned, and the consumers' mirrors of them. */
export const MIRROR_SQL = `
create table torture.item (id integer primary key, name text, amount integer not null);
create table torture.part (
  area text, id integer, detail jsonb, amount integer not null, primary key (area, id)
) partition by list (area);
create table torture.part_a partition of torture.part for values in ('a');
create table torture.part_b partition of torture.part for values in ('b');
insert into torture.item select n, 'before', n from generate_series(1, 100) as n;
insert into torture.part
select area, n, '{"before": true}', n from generate_series(1, 50) as n,
  unnest('{a,b}'::text[]) as area;

create table torture.mirror (
  consumer text, source text, id jsonb, row jsonb, primary key (consumer, source, id)
);
create table torture.mirrored (consumer text, notification_id bigint);`;

/** Where the mirror of consumer $1 differs from its source, and what it has applied twice. */
export const DIFFERENCES_SQL = `
with source as (
  select 'item' as source, to_jsonb(id) as id, to_jsonb(item) as row from torture.item
  union all
  select 'part', jsonb_build_object('area', area, 'id', id), to_jsonb(part) from torture.part
), mirror as (
  select source, id, row from torture.mirror where consumer = $1
)
select format('%s %s is %s and not %s', source, id, mirror.row, source.row) as text
from source full join mirror using (source, id)
where source.row is distinct from mirror.row
union all
select format('notification %s was mirrored %s times', notification_id, count(*))
from torture.mirrored where consumer = $1 group by notification_id having count(*) > 1`;

/** Statements of writers, for a number $1 from 1 to 100; most hit rows that others change, too. */
export const WRITES: readonly string[] = [
  `insert into torture.item select n, 'upserted', n from generate_series($1::integer, $1 + 2) as n
   on conflict (id) do update set name = 'upserted again', amount = item.amount + 1`,
  `update torture.item set amount = amount + 1 where id between $1::integer and $1 + 3`,
  `update torture.item set name = repeat('x', $1::integer) where id = $1`,
  'delete from torture.item where id = $1::integer',
  `insert into torture.part values ('b', $1::integer, '{"a": [1, null]}', 0)
   on conflict (area, id) do update set amount = part.amount + 1`,
  `update torture.part set amount = amount + 1, detail = jsonb_build_object('n', $1::integer)
   where id between $1::integer and $1 + 1`,
  'delete from torture.part where id = $1::integer',
];
