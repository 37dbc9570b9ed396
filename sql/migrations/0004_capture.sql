-- Capture: notify_data_change() turns row changes into notifications.

create function :"schema".relation_description(relation_id oid)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
What notification_log.relation holds of a table: schema, table, then its primary key's columns. A
partition goes by the name and the primary key of the table that it is a part of.
*/
begin
  return (
    select jsonb_build_array(n.nspname, c.relname) || coalesce((
      select jsonb_agg(a.attname order by k.position)
      from pg_index as i
      cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
      join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where i.indrelid = c.oid and i.indisprimary), '[]')
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = coalesce(pg_partition_root(relation_id), relation_id));
end;
$$;
revoke all on function :"schema".relation_description(oid) from public;

create function :"schema".key_part(value jsonb)
returns jsonb
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* A value of a key that has others in it, each as key_value() writes it. */
begin
  return case jsonb_typeof(value)
    when 'array' then coalesce((
      select jsonb_agg(:"schema".key_value(item.part) order by item.place)
      from jsonb_array_elements(value) with ordinality as item (part, place)), '[]')
    else coalesce((
      select jsonb_object_agg(item.key, :"schema".key_value(item.value))
      from jsonb_each(value) as item), '{}') end;
end;
$$;
revoke all on function :"schema".key_part(jsonb) from public;

/* A value of a key: 1.0 and 1.00 are one, so that changes of one row keep their order. Inlined. */
create function :"schema".key_value(value jsonb)
returns jsonb
language sql
immutable
parallel safe
return case
  when jsonb_typeof(value) not in ('number', 'array', 'object') or value::text not like '%.%0%' then value
  when jsonb_typeof(value) = 'number' then to_jsonb(trim_scale(value::numeric))
  else :"schema".key_part(value) end;
revoke all on function :"schema".key_value(jsonb) from public;

create function :"schema".key_writing(key_type oid, key_typmod integer, key_collation oid)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
How equal values of a column are written the same in a key. plain: as they are, for they are written the same
by themselves; number: without zeros at their end; interval, padded, citext, collated: as key_folded() does it.
*/
with recursive base (type_id, typmod) as (
  select key_type, key_typmod
  union all
  select d.typbasetype, d.typtypmod
  from base
  join pg_type as d on d.oid = base.type_id
  where d.typtype = 'd')
select case
    when t.typname = 'citext' then 'citext'
    when t.oid = 'interval'::regtype then 'interval'
    when t.oid = 'bpchar'::regtype and base.typmod = -1 then 'padded'
    when exists (
      select from pg_collation as c where c.oid = key_collation and not c.collisdeterministic) then 'collated'
    when t.typtype = 'e' or t.oid = any (
      '{bool,"char",name,int2,int4,int8,oid,float4,float8,text,varchar,bpchar,bytea,uuid,date,time,timetz,timestamp,timestamptz}'::regtype[])
    then 'plain'
    else 'number' end
from base
join pg_type as t on t.oid = base.type_id
where t.typtype <> 'd'
$$;
revoke all on function :"schema".key_writing(oid, integer, oid) from public;

create function :"schema".key_folded(data jsonb, fold jsonb)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
/*
A row in which equal values of its key are written the same.
Parameters: the row; for columns how, as key_writing() says.
What a collation holds equal cannot be asked for: two texts that are written the same here, and differ, only
keep an order that they would not have to.
*/
select data || coalesce((
  select jsonb_object_agg(part.key, case part.value #>> '{}'
    when 'interval' then (
      /* The largest intervals would overflow. */
      select to_jsonb(case
        when abs(extract(year from span.value)) < 100000000 and abs(extract(day from span.value)) < 1000000000
        then justify_interval(span.value) else span.value end)
      from (select (data ->> part.key)::interval as value) as span)
    when 'padded' then to_jsonb(rtrim(data ->> part.key, ' '))
    when 'citext' then to_jsonb(lower(data ->> part.key))
    else to_jsonb(lower(regexp_replace(normalize(data ->> part.key, nfkd), E'[\u0300-\u036f]', '', 'g'))) end)
  from jsonb_each(fold) as part
  where jsonb_typeof(data -> part.key) = 'string'), '{}')
$$;
revoke all on function :"schema".key_folded(jsonb, jsonb) from public;

create function :"schema".composite_key(columns text[], data jsonb)
returns text
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
/* The values of several columns, as the text of a JSON array. */
select jsonb_agg(:"schema".key_value(data -> column_name) order by position)::text
from unnest(columns) with ordinality as part (column_name, position)
$$;
revoke all on function :"schema".composite_key(text[], jsonb) from public;

/*
The key of a captured row: schema.table:42, schema.table:[1, "a"] for several columns, and
schema.table for none, so that all changes of such a table keep their order. Without a search_path of
its own, because a function that has one is not inlined.
*/
create function :"schema".row_key(table_name text, columns text[], data jsonb)
returns text
language sql
immutable
parallel safe
return table_name || case cardinality(columns)
  when 0 then ''
  when 1 then ':' || coalesce(:"schema".key_value(data -> columns[1]) #>> '{}', '')
  else ':' || :"schema".composite_key(columns, data)
end;
revoke all on function :"schema".row_key(text, text[], jsonb) from public;

create function :"schema".row_part(data jsonb, other jsonb, columns text[])
returns jsonb
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
/*
A part of a row: the columns that are given, and, where there is another row, those in which the two
differ.
*/
select coalesce(jsonb_object_agg(part.key, part.value), '{}')
from jsonb_each(data) as part
where part.key = any(columns) or (other is not null and part.value is distinct from other -> part.key)
$$;
revoke all on function :"schema".row_part(jsonb, jsonb, text[]) from public;

create function :"schema".has_changed(old_data jsonb, new_data jsonb, columns text[])
returns boolean
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
/*
True where one of the columns has another value than before, or is not there any more: then nobody
knows.
*/
select exists (
  select from unnest(columns) as part (column_name)
  where not jsonb_exists(new_data, column_name) or old_data -> column_name is distinct from new_data -> column_name)
$$;
revoke all on function :"schema".has_changed(jsonb, jsonb, text[]) from public;

create function :"schema".current_fold(relation_id oid, columns text[])
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* The columns of a key whose values key_folded() has to write, and how; null where there are
   none. */
select jsonb_object_agg(a.attname, writing.how)
from pg_attribute as a
cross join lateral :"schema".key_writing(a.atttypid, a.atttypmod, a.attcollation) as writing (how)
where a.attrelid = relation_id and a.attnum > 0 and a.attname = any (columns)
  and writing.how not in ('plain', 'number')
$$;
revoke all on function :"schema".current_fold(oid, text[]) from public;

create function :"schema".current_key(relation_id oid, data jsonb)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/* The key by the primary key that the table has now: for triggers that name columns it no longer
   has. */
declare
  relation constant jsonb := :"schema".relation_description(relation_id);
begin
  return :"schema".row_key(concat(relation ->> 0, '.', relation ->> 1),
    array(select jsonb_array_elements_text(relation - 0 - 0)), data);
end;
$$;
revoke all on function :"schema".current_key(oid, jsonb) from public;

/*
What is written of a changed row. One row; inlined into the statements of notify_data_change(), whose
variables the parameters are. Where the row lacks a column that the trigger names, because it was
renamed or dropped, the table's primary key of now is looked up instead.
*/
create function :"schema".log_entry(
  action text, old_data jsonb, new_data jsonb, relation_id oid, relation jsonb, table_name text,
  id_columns text[], key_columns text[], excluded_columns text[], payload text, fold jsonb)
returns table (key text, relation jsonb, old_row jsonb, new_row jsonb)
language sql
stable
begin atomic
  select
    case when jsonb_exists_all(data, key_columns) then :"schema".row_key(table_name, key_columns,
        case when fold is null then data else :"schema".key_folded(data, fold) end)
      else :"schema".current_key(relation_id, data) end,
    case when jsonb_exists_all(data, id_columns) then relation
      else (select :"schema".relation_description(relation_id)) end,
    case when action = 'INSERT' then null
      when payload = 'full' then old_data - excluded_columns
      when payload = 'keys' then :"schema".row_part(old_data, null, id_columns || key_columns)
      when action = 'DELETE' then old_data - excluded_columns
      else :"schema".row_part(old_data, new_data, id_columns || key_columns) - excluded_columns end,
    case when action = 'DELETE' then null
      when payload = 'full' then new_data - excluded_columns
      when payload = 'keys' then :"schema".row_part(new_data, null, id_columns || key_columns)
      when action = 'INSERT' then new_data - excluded_columns
      else :"schema".row_part(new_data, old_data, id_columns || key_columns) - excluded_columns end
  from (select case when action = 'DELETE' then old_data else new_data end as data) as row;
end;
revoke all on function :"schema".log_entry(
  text, jsonb, jsonb, oid, jsonb, text, text[], text[], text[], text, jsonb) from public;

/* Who makes a change, as the application has said; null where it has not. Inlined. */
create function :"schema".change_metadata()
returns jsonb
language sql
stable
return case
  when current_setting('app.user_id', true) <> '' or current_setting('app.session_id', true) <> ''
  then jsonb_strip_nulls(jsonb_build_object(
    'user_id', nullif(current_setting('app.user_id', true), ''),
    'session_id', nullif(current_setting('app.session_id', true), '')))
end;
revoke all on function :"schema".change_metadata() from public;

create function :"schema".text_list(list jsonb)
returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* A JSON array of texts; null for null. */
select array(select jsonb_array_elements_text(list)) where list is not null
$$;
revoke all on function :"schema".text_list(jsonb) from public;

/* What the second argument of notify_data_change() may hold. */
create function :"schema".capture_options()
returns text[]
language sql
immutable
return array['id', 'key', 'table', 'columns', 'exclude', 'payload', 'fold', 'notify', 'when', 'for_each'];
revoke all on function :"schema".capture_options() from public;

create function :"schema".trigger_check(
  trigger_name text, table_name text, is_after boolean, channel_name text, options jsonb)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* Raises PW001 or PW003 for a trigger that notify_data_change() cannot serve, and says why. */
declare
  complaint constant text := case
    when not is_after then 'must be an AFTER trigger'
    when starts_with(table_name, :'schema' || '.') then 'would capture pgwatch''s own tables'
    when jsonb_typeof(options) <> 'object' then 'has options that are no JSON object'
    when options - :"schema".capture_options() <> '{}' then format('has an unknown option %s, known are %s',
      (select min(key) from jsonb_object_keys(options - :"schema".capture_options()) as key),
      array_to_string(:"schema".capture_options(), ', '))
    when options ->> 'payload' not in ('full', 'keys', 'changed') then
      format('has the payload %s, known are full, keys and changed', options ->> 'payload')
    when options ->> 'notify' not in ('always', 'doorbell', 'off') then
      format('has the notify mode %s, known are always, doorbell and off', options ->> 'notify')
    end;
begin
  perform :"schema".channel_check(channel_name);
  if complaint is not null then
    raise exception 'Trigger % on % %.', trigger_name, table_name, complaint using errcode = 'PW003';
  end if;
end;
$$;
revoke all on function :"schema".trigger_check(text, text, boolean, text, jsonb) from public;

create function :"schema".without_zeros(json_text text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
/*
JSON text with U+FFFD in place of what jsonb cannot hold: the character zero, and surrogates without their other half.
The text is cut into escapes and what lies between them, and put together again. One regexp_replace() would need to
look behind, which PostgreSQL does from the start of the text for each match: minutes for a megabyte of escapes.
*/
select coalesce(string_agg(
  case when length(part[1]) = 6 and part[1] ~ E'^\\\\u(0000|[dD][89a-fA-F])' then E'\\ufffd' else part[1] end,
  '' order by place), '')
from regexp_matches(json_text,
  E'[^\\\\]+|\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..|\\\\u....|\\\\.', 'g')
  with ordinality as found (part, place)
$$;
revoke all on function :"schema".without_zeros(text) from public;

create function :"schema".types_within(type_ids oid[])
returns setof oid
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* Types, and those that they are made of. */
with recursive part (type_id) as (
  select unnest(type_ids)
  union
  select inner_part.type_id
  from part
  join pg_type as t on t.oid = part.type_id
  cross join lateral (
    select unnest(array[t.typbasetype, t.typelem])
    union all
    select a.atttypid
    from pg_attribute as a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) as inner_part (type_id))
select part.type_id from part where part.type_id <> 0
$$;
revoke all on function :"schema".types_within(oid[]) from public;

create function :"schema".column_types(relation_id oid)
returns setof oid
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* The types of a table's columns, and those that they are made of. */
select :"schema".types_within(array(
  select a.atttypid from pg_attribute as a where a.attrelid = relation_id and a.attnum > 0 and not a.attisdropped))
$$;
revoke all on function :"schema".column_types(oid) from public;

create function :"schema".type_kind(type_id oid, acting_role name)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
What to_jsonb() does with the type's values, through any number of domains, arrays and composites:
foreign  it may run a cast to json of somebody who could not act as the role anyway: who owns a type can make one at
         any moment, and who owns a composite can add a column of such a type
json     it makes JSON of them by way of json, which may hold what no jsonb can
plain    none of these
The first of them in the alphabet that a part of a type is. 16384 is the first oid that is not PostgreSQL's own; only
types from there on are looked up a cast for. Nobody can change what a domain or an array is made of.
*/
begin
  if type_id < 16384 then
    return case when type_id in ('json'::regtype, 'json[]'::regtype) then 'json' else 'plain' end;
  end if;
  return coalesce((
    select case
      when t.typtype = 'd' then :"schema".type_kind(t.typbasetype, acting_role)
      when t.typsubscript = 'array_subscript_handler'::regproc
      then :"schema".type_kind(t.typelem, acting_role)
      when not pg_has_role(t.typowner, acting_role, 'usage') then 'foreign'
      when t.typtype = 'c' then coalesce((
        select min(:"schema".type_kind(a.atttypid, acting_role))
        from pg_attribute as a
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), 'plain')
      else coalesce((
        select case when pg_has_role(f.proowner, acting_role, 'usage') then 'json' else 'foreign' end
        from pg_cast as c
        join pg_proc as f on f.oid = c.castfunc
        where c.castsource = t.oid and c.casttarget = 'json'::regtype), 'plain') end
    from pg_type as t
    where t.oid = type_id), 'foreign');
end;
$$;
revoke all on function :"schema".type_kind(oid, name) from public;

create function :"schema".same_row(data record)
returns record
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* A row as it is: whoever calls it can name its columns. */
begin
  return data;
end;
$$;
revoke all on function :"schema".same_row(record) from public;

create function :"schema".row_data(data record, row_query text default null)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set array_nulls = on
as $$
/*
A row of a table with columns that are made JSON by way of the type json. They may hold what no jsonb can, and no
write may fail because of it. U+FFFD takes the place of escapes of the character zero, and of halves of
characters. Where it is something else, like a number or a depth without end, the column is a text of its JSON.
Parameters: the row; how it is made JSON where to_jsonb() must not do it, as row_query() says.
*/
declare
  column_name text;
  column_data json;
  result jsonb := '{}';
begin
  if row_query is not null then
    execute row_query into result using data;
    return result;
  end if;
  begin
    return to_jsonb(data);
  exception
    when data_exception or statement_too_complex then null;
  end;
  begin
    return :"schema".without_zeros(row_to_json(data)::text)::jsonb;
  exception
    when data_exception or statement_too_complex then null;
  end;
  for column_name, column_data in
    select part.key, part.value from json_each(:"schema".without_zeros(row_to_json(data)::text)::json) as part
  loop
    begin
      result := result || jsonb_build_object(column_name, column_data::jsonb);
    exception
      when data_exception or statement_too_complex then
        result := result || jsonb_build_object(column_name, column_data::text);
    end;
  end loop;
  return result;
end;
$$;
revoke all on function :"schema".row_data(record, text) from public;

create function :"schema".nested_array(items jsonb[], lengths integer[])
returns jsonb
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* An array of so many dimensions, of all of its items in their order. */
declare
  size constant integer := cardinality(items) / lengths[1];
begin
  return case when cardinality(lengths) < 2 then to_jsonb(items) else (
    select jsonb_agg(:"schema".nested_array(items[(n - 1) * size + 1 : n * size], lengths[2:]) order by n)
    from generate_series(1, lengths[1]) as n) end;
end;
$$;
revoke all on function :"schema".nested_array(jsonb[], integer[]) from public;

create function :"schema".value_sql(type_id oid, value text, acting_role name)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
An expression that makes a value JSON as to_jsonb() would if nobody had made a cast, for types of the kind foreign:
there a value is what its type's output function writes, and of a composite each column is named. So whatever its
owner makes while the statement runs, none of it is looked for.
*/
declare
  kind constant text := :"schema".type_kind(type_id, acting_role);
  part pg_type;
  base_id oid;
begin
  select * into part from pg_type as t where t.oid = type_id;
  if kind = 'plain' then
    return format('to_jsonb(%s)', value);
  elsif kind = 'json' then
    return format('(%I.row_data((select one from (select %s as value) as one)) -> ''value'')', :'schema', value);
  elsif part.typtype = 'd' then
    return :"schema".value_sql(
      part.typbasetype, format('(%s)::%s', value, format_type(part.typbasetype, -1)), acting_role);
  elsif part.typtype = 'c' then
    return format('case when num_nulls(%s) = 0 then %s end', value, (
      select concat_ws(' || ', '''{}''::jsonb', string_agg(format('jsonb_build_object(%L, %s)', a.attname,
        :"schema".value_sql(a.atttypid, format('(%s).%I', value, a.attname), acting_role)), ' || ' order by a.attnum))
      from pg_attribute as a
      where a.attrelid = part.typrelid and a.attnum > 0 and not a.attisdropped));
  elsif part.typsubscript <> 'array_subscript_handler'::regproc then
    return format('case when %1$s is not null then to_jsonb(format(''%%s'', %1$s)) end', value);
  end if;
  base_id := part.typelem;
  while (select t.typtype = 'd' from pg_type as t where t.oid = base_id) loop
    base_id := (select t.typbasetype from pg_type as t where t.oid = base_id);
  end loop;
  if exists (
    select from pg_type as t
    where t.oid = base_id and t.typtype <> 'c' and t.typsubscript <> 'array_subscript_handler'::regproc)
  then
    return format('case when %1$s is not null then to_jsonb(format(''%%s'', %1$s)::text[]) end', value);
  end if;
  return format('case when %1$s is not null then %2$I.nested_array('
    'array(select %3$s from (select unnest(%1$s) as item offset 0) as part), '
    'array(select array_length(%1$s, n) from generate_series(1, array_ndims(%1$s)) as n)) end',
    value, :'schema', :"schema".value_sql(part.typelem, 'part.item', acting_role));
end;
$$;
revoke all on function :"schema".value_sql(oid, text, name) from public;

create function :"schema".row_sql(
  relation_id oid, acting_role name,
  omitted text[] default '{}', hashed text[] default '{}', is_asked boolean default false)
returns text
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
/*
An expression that makes a row t of a table JSON, so that nobody's cast is run; null where to_jsonb() runs none.
Parameters: the table; whose rights the casts would have; columns that are left out; columns of which only a hash is
needed, to tell whether they have changed; true for an expression in any case.
What is left out counts, too: to_jsonb() would run its cast. Types are looked at once each, and the value is written into what value_sql() says in the place of a text that no name can
hold. A call of a function has up to 100 arguments.
*/
with mark as materialized (
  select gen_random_uuid()::text as text
), part as (
  select a.attname as name, a.atttypid as type_id, a.attnum as number,
    a.attname = any (hashed) as is_hashed, a.attname = any (omitted) as is_omitted
  from pg_attribute as a
  where a.attrelid = relation_id and a.attnum > 0 and not a.attisdropped
), kind as materialized (
  select type.id, type.kind,
    case when type.kind = 'foreign' then :"schema".value_sql(type.id, (select mark.text from mark), acting_role) end as sql
  from (
    select distinct_type.id, :"schema".type_kind(distinct_type.id, acting_role) as kind
    from (select distinct part.type_id as id from part offset 0) as distinct_type
    offset 0) as type
), named as (
  select format('%L, %s', part.name, case
      when part.is_hashed and part.type_id = 'bytea'::regtype then format('encode(sha256(t.%I), ''hex'')', part.name)
      when part.is_hashed then format(
        'case when %1$s is not null then encode(sha256(convert_to(format(''%%s'', %1$s), ''UTF8'')), ''hex'') end',
        format('t.%I', part.name))
      else replace(kind.sql, (select mark.text from mark), format('t.%I', part.name)) end) as text,
    (row_number() over (order by part.number) - 1) / 50 as call
  from part join kind on kind.id = part.type_id
  where (part.is_hashed or kind.kind = 'foreign') and not part.is_omitted
), plain as (
  select format('(select %s from (select %s offset 0) as plain)',
    case when bool_or(kind.kind = 'json') then format('%I.row_data(plain.*)', :'schema') else 'to_jsonb(plain.*)' end,
    string_agg(format('t.%I', part.name), ', ' order by part.number)) as text
  from part join kind on kind.id = part.type_id
  where not part.is_hashed and not part.is_omitted and kind.kind <> 'foreign'
  having count(*) > 0
)
select concat_ws(' || ', '''{}''::jsonb', (select plain.text from plain), (
  select string_agg(call.text, ' || ')
  from (
    select format('jsonb_build_object(%s)', string_agg(named.text, ', ')) as text
    from named group by named.call) as call))
where is_asked or exists (select from kind where kind.kind = 'foreign')
$$;
revoke all on function :"schema".row_sql(oid, name, text[], text[], boolean) from public;

create function :"schema".row_query(relation_id oid, expression text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* A statement that makes JSON of its parameter, a row of a table, by what row_sql() says; null for
   null. */
select format('select %s from %I.same_row($1) as t (%s)', expression, :'schema', (
  select string_agg(format('%I %s', a.attname, format_type(a.atttypid, -1)), ', ' order by a.attnum)
  from pg_attribute as a
  where a.attrelid = relation_id and a.attnum > 0 and not a.attisdropped))
where expression is not null
$$;
revoke all on function :"schema".row_query(oid, text) from public;

create function :"schema".statement_query(operation text, expression text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
/*
A statement that makes JSON of what a trigger for each statement has, by what row_sql() says: the rows before and after of
an UPDATE, by their order; otherwise the rows twice. Null for null.
*/
select case when operation = 'UPDATE' then format('select o.data, n.data
    from (select row_number() over () as number, %1$s as data from old_rows as t) as o
    full join (select row_number() over () as number, %1$s as data from new_rows as t) as n using (number)', expression)
  else format('select made.data, made.data from (select %s as data from changed_rows as t offset 0) as made', expression) end
where expression is not null
$$;
revoke all on function :"schema".statement_query(text, text) from public;

create function :"schema".rows_from(source refcursor)
returns table (old_data jsonb, new_data jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
/* What a cursor over statement_query() has: only the trigger function itself can read its
   transition tables. */
begin
  loop
    fetch source into old_data, new_data;
    exit when not found;
    return next;
  end loop;
end;
$$;
revoke all on function :"schema".rows_from(refcursor) from public;

create function :"schema".owners_are_trusted(relation_id oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* True where whoever owns the table or a type of its columns could act as the current user
   anyway. */
select not exists (
  select from (
    select c.relowner from pg_class as c where c.oid = relation_id
    union all
    select t.typowner
    from :"schema".column_types(relation_id) as part (type_id)
    join pg_type as t on t.oid = part.type_id
  ) as involved (owner)
  where not pg_has_role(involved.owner, current_user, 'usage'))
$$;
revoke all on function :"schema".owners_are_trusted(oid) from public;

create function :"schema".record_types(data record)
returns setof oid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/* The types of a row's columns as they are, whatever a snapshot shows of the catalog. */
declare
  bytes constant bytea := record_send(data);
  at integer := 5;
begin
  /* How many columns; of each its type, its length or -1, its value. */
  for number in 1..('x' || encode(substring(bytes for 4), 'hex'))::bit(32)::integer loop
    return next ('x' || encode(substring(bytes from at for 4), 'hex'))::bit(32)::bigint::oid;
    at := at + 8 + greatest(('x' || encode(substring(bytes from at + 4 for 4), 'hex'))::bit(32)::integer, 0);
  end loop;
end;
$$;
revoke all on function :"schema".record_types(record) from public;

create function :"schema".relation_is_current(relation_id oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* True where the transaction's snapshot shows a table, or a composite type, and its columns as they
   are by now. */
select not exists (
  select from pg_class as c
  where c.oid = relation_id and currtid2('pg_catalog.pg_class', c.ctid) <> c.ctid
  union all
  select from pg_attribute as a
  where a.attrelid = relation_id and a.attnum > 0 and currtid2('pg_catalog.pg_attribute', a.ctid) <> a.ctid)
$$;
revoke all on function :"schema".relation_is_current(oid) from public;

create function :"schema".types_are_current(type_ids oid[])
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
True where the transaction's snapshot shows types, what they are made of, and the functions of their casts as they
are by now: to_jsonb() takes what is there now, and another owner may have got one since. currtid2() tells where
the newest version of a row is.
*/
select not exists (
  select from unnest(type_ids) as given (type_id)
  where given.type_id >= 16384 and not exists (select from pg_type as t where t.oid = given.type_id)
) and not exists (
  select from :"schema".types_within(type_ids) as part (type_id)
  join pg_type as t on t.oid = part.type_id
  where t.oid >= 16384 and (
    currtid2('pg_catalog.pg_type', t.ctid) <> t.ctid
    or t.typrelid <> 0 and not :"schema".relation_is_current(t.typrelid)
    or exists (
      select from pg_cast as c
      join pg_proc as f on f.oid = c.castfunc
      where c.castsource = t.oid and c.casttarget = 'json'::regtype
        and currtid2('pg_catalog.pg_proc', f.ctid) <> f.ctid)))
$$;
revoke all on function :"schema".types_are_current(oid[]) from public;

create function :"schema".table_is_current(relation_id oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* The same of a table and the types of its columns. */
select :"schema".relation_is_current(relation_id)
  and :"schema".types_are_current(array(select :"schema".column_types(relation_id)))
$$;
revoke all on function :"schema".table_is_current(oid) from public;

create function :"schema".types_require_current(trigger_name text, relation_id oid, data record)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
Where a table is not what the transaction's snapshot shows: whether a row of it may hold what no jsonb can. Raises
40001 where a type of the row is not what the snapshot shows, or somebody else's: a transaction that begins
now will see it.
*/
declare
  type_ids oid[];
  kind text;
begin
  begin
    type_ids := array(select :"schema".record_types(data));
  exception
    when undefined_function then
      /* A type without an output in binary. */
      null;
  end;
  kind := (select min(:"schema".type_kind(t.type_id, current_user)) from unnest(type_ids) as t (type_id));
  if type_ids is null or kind = 'foreign' or not :"schema".types_are_current(type_ids) then
    raise exception 'Trigger % on % could not serialize access: its columns, or a type of them, were changed after this transaction began.',
      trigger_name, relation_id::regclass using errcode = 'serialization_failure', hint = 'The transaction might succeed if retried.';
  end if;
  return kind = 'json';
end;
$$;
revoke all on function :"schema".types_require_current(text, oid, record) from public;

create function :"schema".transition_check(trigger_name text, relation_id oid)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
Raises PW003 for a trigger without the transition tables that it is to have: a temporary table or view of the
session would be read in their place, with the rights of pgwatch's owner.
*/
begin
  if not exists (
    select from pg_trigger as t
    where t.tgrelid = relation_id and t.tgname = trigger_name
      and case
        when t.tgtype::integer & 16 > 0 then t.tgoldtable = 'old_rows' and t.tgnewtable = 'new_rows'
        else 'changed_rows' in (t.tgoldtable, t.tgnewtable) end)
  then
    raise exception 'Trigger % on % lacks its transition tables: for each statement it has to say "referencing", as "pgwatch trigger sql" does.',
      trigger_name, relation_id::regclass using errcode = 'PW003';
  end if;
end;
$$;
revoke all on function :"schema".transition_check(text, oid) from public;

create function :"schema".change_announce(change :"schema".notification_log)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
/* Sends the NOTIFY that plain LISTEN clients read of a captured change: of a large one, whose
   payload jsonb might not hold, without putting that together. */
begin
  perform :"schema".notification_announce(change.channel, change.id, change.created_at,
    case when pg_column_size(change) < 128000 then
      :"schema".change_payload(
        change.action, change.relation, change.old_row, change.new_row, change.metadata, change.xid)
    end);
  return true;
end;
$$;
revoke all on function :"schema".change_announce(:"schema".notification_log) from public;

create function :"api_schema".notify_data_change()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
set quote_all_identifiers = off
set plan_cache_mode = force_generic_plan
as $$
/*
Trigger function: appends each changed row to the log.

Use: "pgwatch trigger add TABLE", or by hand
  create trigger NAME after insert or update or delete on TABLE
    for each row execute function notify_data_change('CHANNEL', 'OPTIONS');
  create trigger NAME after update on TABLE referencing old table as old_rows new table as new_rows
    for each statement execute function notify_data_change('CHANNEL', 'OPTIONS');
  and so on for insert with new table as changed_rows, for delete with old table as changed_rows, for
  truncate with neither.
Arguments, all optional: the channel, default data_change; options, a JSON object:
  id       the columns of the primary key; looked up at every change where they are not given
  key      the columns that the key is made of, default id
  table    schema and name that go into payload and key, default those of the table
  columns  an UPDATE counts only where one of these has changed, or one of id
  exclude  columns that are in no payload
  payload  full (default); keys: only the columns of id and key; changed: of an UPDATE these and what
           has changed
  fold     how some columns of the key are written, as current_fold() says; looked up where id is not given
  notify   as the setting
and three more that "pgwatch trigger add" writes where no option but id and table matters: the only
column of id, and where table is given its parts.
An UPDATE that changes the id becomes a DELETE and an INSERT: each belongs to a key of its own.
Raises: PW001 for a bad channel, PW003 for a trigger it cannot serve (both at the first change).
Settings: pgwatch.notify: always, doorbell (default here) or off, which the option overrides, except
off. app.user_id and app.session_id go into the metadata. Those that values are written by are pinned,
for keys above all: a row has the same one whoever writes it, and numbers all of their digits. So is how
plans are kept: a session that begins with many rows would plan each single one anew.
Tables written: notification_log.
*/
declare
  is_plain boolean;
  has_moved boolean;
begin
  /*
  The fast way, for triggers with a third argument. Every expression counts here: each has its price in
  every transaction. What lacks the column, because that was renamed since, is left to the other way, and so are
  tables that have got columns since of which to_jsonb() may fail, or keys that have to be folded. Who has changed
  something has an xid. Whoever owns a type may make a cast of it to json between any two of our statements, which
  to_jsonb() would run as pgwatch's owner, so tables with types of others are left to the other way, too.
  */
  is_plain := tg_argv[2] is not null and lower(coalesce(current_setting('pgwatch.notify', true), '')) <> 'always'
    and (current_setting('transaction_isolation') like 'read%' or :"schema".table_is_current(tg_relid))
    and not exists (
      select from pg_attribute as a
      where a.attrelid = tg_relid and a.attnum > 0 and (
        a.atttypid in ('json'::regtype, 'json[]'::regtype)
        or a.atttypid >= 16384 and :"schema".type_kind(a.atttypid, current_user) <> 'plain'
        or a.attname = tg_argv[2]
          and a.atttypid <> all ('{int2,int4,int8,uuid}'::regtype[])
          and (a.atttypid <> all ('{text,varchar}'::regtype[]) or a.attcollation <> '"default"'::regcollation)
          and :"schema".key_writing(a.atttypid, a.atttypmod, a.attcollation) <> 'plain'));
  if is_plain and tg_level = 'STATEMENT' and tg_op in ('INSERT', 'DELETE')
    and to_regclass('pg_temp.changed_rows') is null
  then
    insert into :"schema".notification_log
      (xid, channel, metadata, action, relation, key, old_row, new_row)
    select same.xid, tg_argv[0], same.metadata, tg_op, same.relation,
      same.prefix || (change.data ->> tg_argv[2]),
      case when tg_op = 'DELETE' then change.data end, case when tg_op = 'INSERT' then change.data end
    from (
      select pg_current_xact_id_if_assigned() as xid, :"schema".change_metadata() as metadata,
        jsonb_build_array(tg_table_schema, tg_table_name, tg_argv[2]) as relation,
        concat(tg_table_schema, '.', tg_table_name, ':') as prefix
      offset 0) as same
    cross join (
      select to_jsonb(given.data) as data
      from (select (data.*)::record as data from changed_rows as data offset 0) as given
      offset 0) as change
    where jsonb_exists(change.data, tg_argv[2]);
  elsif is_plain and tg_level = 'STATEMENT' and tg_op = 'UPDATE'
    and coalesce(to_regclass('pg_temp.old_rows'), to_regclass('pg_temp.new_rows')) is null
  then
    /*
    Both tables hold the rows in the order of their changes. No join but a full one can do without a
    nested loop, which is planned while there are few rows and kept for many.
    */
    with appended as (
      insert into :"schema".notification_log
        (xid, channel, metadata, action, relation, key, old_row, new_row)
      select same.xid, tg_argv[0], same.metadata,
        case when pair.has_moved then 'DELETE' else 'UPDATE' end, same.relation,
        same.prefix || (pair.old_data ->> tg_argv[2]),
        pair.old_data, case when not pair.has_moved then pair.new_data end
      from (
        select pg_current_xact_id_if_assigned() as xid, :"schema".change_metadata() as metadata,
          jsonb_build_array(tg_table_schema, tg_table_name, tg_argv[2]) as relation,
          concat(tg_table_schema, '.', tg_table_name, ':') as prefix
        offset 0) as same
      cross join (
        select data.*, data.old_data ->> tg_argv[2] <> data.new_data ->> tg_argv[2] as has_moved
        from (
          select to_jsonb(o.data) as old_data, to_jsonb(n.data) as new_data
          from (select row_number() over () as number, (data.*)::record as data from old_rows as data) as o
          full join (select row_number() over () as number, (data.*)::record as data from new_rows as data) as n
            using (number)
          offset 0) as data
        offset 0) as pair
      where jsonb_exists(pair.new_data, tg_argv[2])
      returning action)
    select bool_or(appended.action = 'DELETE') into has_moved from appended having count(*) > 0;
  elsif is_plain and tg_level = 'ROW' then
    insert into :"schema".notification_log
      (xid, channel, metadata, action, relation, key, old_row, new_row)
    select pg_current_xact_id(), tg_argv[0], :"schema".change_metadata(), tg_op,
      jsonb_build_array(
        coalesce(tg_argv[3], tg_table_schema), coalesce(tg_argv[4], tg_table_name), tg_argv[2]),
      concat(coalesce(tg_argv[3], tg_table_schema), '.', coalesce(tg_argv[4], tg_table_name), ':',
        coalesce(change.new_data, change.old_data) ->> tg_argv[2]),
      change.old_data, change.new_data
    from (
      select case when tg_op <> 'INSERT' then to_jsonb(old) end as old_data,
        case when tg_op <> 'DELETE' then to_jsonb(new) end as new_data
      offset 0) as change
    where jsonb_exists(coalesce(change.new_data, change.old_data), tg_argv[2])
      and (tg_op <> 'UPDATE' or change.old_data ->> tg_argv[2] = change.new_data ->> tg_argv[2]);
  end if;
  if found and has_moved is not true and :"schema".doorbell_is_quiet(tg_argv[0]) then
    return null;
  elsif found and has_moved is not true then
    perform :"schema".doorbell_ring(tg_argv[0]);
    return null;
  end if;

  declare
    options constant jsonb := coalesce(tg_argv[1], '{}');
    channel_name constant text := coalesce(tg_argv[0], 'data_change');
    /* No notification may hold an id without an xid; whoever has changed something has one. */
    writer_xid constant xid8 := pg_current_xact_id_if_assigned();
    setting constant text := lower(coalesce(current_setting('pgwatch.notify', true), ''));
    notify_mode constant text := case setting when 'off' then setting else coalesce(options ->> 'notify', setting) end;
    metadata constant jsonb := :"schema".change_metadata();
    payload constant text := coalesce(options ->> 'payload', 'full');
    relation constant jsonb := case when jsonb_exists(options, 'id')
      then coalesce(options -> 'table', jsonb_build_array(tg_table_schema, tg_table_name))
        || (options -> 'id')
      else :"schema".relation_description(tg_relid) end;
    table_name constant text := concat(relation ->> 0, '.', relation ->> 1);
    id_columns constant text[] := case jsonb_array_length(relation) when 3 then array[relation ->> 2]
      else :"schema".text_list(relation - 0 - 0) end;
    key_columns constant text[] := case when jsonb_exists(options, 'key')
      then :"schema".text_list(options -> 'key') else id_columns end;
    /* The value of a virtual column is not to be had: where one is named, each UPDATE counts. */
    filter_columns constant text[] := case when jsonb_exists(options, 'columns')
        and not exists (
          select from pg_attribute as a
          where a.attrelid = tg_relid and a.attgenerated = 'v'
            and a.attname = any (:"schema".text_list(options -> 'columns')))
      then :"schema".text_list(options -> 'columns') end;
    excluded_columns constant text[] := case when jsonb_exists(options, 'exclude')
      then :"schema".text_list(options -> 'exclude') else '{}' end;
    fold constant jsonb := case when jsonb_exists(options, 'id') then options -> 'fold'
      else :"schema".current_fold(tg_relid, key_columns) end;
    /* Columns that no payload has, except those that tell whether one counts: of these a hash will
       do. */
    unpublished constant text[] := array(
      select a.attname::text from pg_attribute as a
      where (payload = 'keys' or excluded_columns <> '{}') and a.attrelid = tg_relid and a.attnum > 0
        and a.attname <> all (id_columns || key_columns)
        and (payload = 'keys' or a.attname = any (excluded_columns)));
    omitted constant text[] := case when unpublished = '{}' or filter_columns is null then unpublished
      else array(select name from unnest(unpublished) as name where name <> all (filter_columns)) end;
    hashed constant text[] := case when unpublished = '{}' or filter_columns is null then '{}'
      else array(select name from unnest(unpublished) as name where name = any (filter_columns)) end;
    /* How a row is made JSON where to_jsonb() must not do it, and whether it may not be able to. */
    row_expression text := :"schema".row_sql(tg_relid, current_user, omitted, hashed);
    row_query text;
    source refcursor;
    /* Compressed: what has less is never more than JSON can hold. */
    large_size constant integer := 262144;
    is_large boolean;
    is_current boolean := true;
    is_special boolean := exists (
      select from pg_attribute as a
      where a.attrelid = tg_relid and a.attnum > 0 and (
        a.atttypid in ('json'::regtype, 'json[]'::regtype)
        or a.atttypid >= 16384 and :"schema".type_kind(a.atttypid, current_user) <> 'plain'));
    /* Only what has moved is left to do. */
    is_done constant boolean := found;
    old_data jsonb;
    new_data jsonb;
    appended_count bigint;
  begin
    if tg_when <> 'AFTER' or tg_table_schema = :'schema' or octet_length(channel_name) not between 1 and 63
      or options - :"schema".capture_options() <> '{}' or payload not in ('full', 'keys', 'changed')
      or notify_mode not in ('', 'always', 'doorbell', 'off') and jsonb_exists(options, 'notify')
    then
      perform :"schema".trigger_check(tg_name, concat(tg_table_schema, '.', tg_table_name),
        tg_when = 'AFTER', channel_name, options);
    end if;
    if tg_level = 'STATEMENT' and tg_op <> 'TRUNCATE' and coalesce(to_regclass('pg_temp.changed_rows'),
      to_regclass('pg_temp.old_rows'), to_regclass('pg_temp.new_rows')) is not null
    then
      perform :"schema".transition_check(tg_name, tg_relid);
    end if;
    if current_setting('transaction_isolation') not like 'read%' and tg_op <> 'TRUNCATE'
      and writer_xid is not null and not :"schema".table_is_current(tg_relid)
    then
      row_expression := null;
      is_current := false;
      if tg_level = 'ROW' then
        is_special := :"schema".types_require_current(tg_name, tg_relid, coalesce(new, old));
      elsif tg_op = 'UPDATE' then
        select :"schema".types_require_current(tg_name, tg_relid, (data.*)::record) into is_special
        from new_rows as data limit 1;
      else
        select :"schema".types_require_current(tg_name, tg_relid, (data.*)::record) into is_special
        from changed_rows as data limit 1;
      end if;
    end if;
    if writer_xid is null then
      /* A statement that found nothing to change. */
      return null;
    end if;
    /* A large column that nobody is to see would be made JSON in vain, which may not be able to
       hold it. */
    if row_expression is null and unpublished <> '{}' and is_current then
      if tg_level = 'ROW' then
        is_large := greatest(case when tg_op <> 'INSERT' then pg_column_size(old) end,
          case when tg_op <> 'DELETE' then pg_column_size(new) end) > large_size;
      elsif tg_op = 'UPDATE' then
        select bool_or(pg_column_size(given.data) > large_size) into is_large
        from (
          select (data.*)::record as data from old_rows as data
          union all select (data.*)::record from new_rows as data
          offset 0) as given;
      elsif tg_op <> 'TRUNCATE' then
        select bool_or(pg_column_size(given.data) > large_size) into is_large
        from (select (data.*)::record as data from changed_rows as data offset 0) as given;
      end if;
      if is_large then
        row_expression := :"schema".row_sql(tg_relid, current_user, omitted, hashed, true);
      end if;
    end if;
    if tg_level = 'ROW' then
      row_query := :"schema".row_query(tg_relid, row_expression);
      is_special := is_special or row_query is not null;
      old_data := case when tg_op = 'INSERT' then null when is_special then :"schema".row_data(old, row_query)
        else to_jsonb(old) end;
      new_data := case when tg_op = 'DELETE' then null when is_special then :"schema".row_data(new, row_query)
        else to_jsonb(new) end;
    elsif row_expression is not null and tg_op <> 'TRUNCATE' and not is_done then
      open source for execute :"schema".statement_query(tg_op, row_expression);
    end if;
    /*
    Of user's columns there is nothing but a record in any statement: no name of theirs can meet one of ours. What
    is announced is what the insert returns: reading the log would abort serializable writers.
    */
    if is_done then
      null;
    elsif tg_op = 'TRUNCATE' and pg_partition_root(tg_relid) <> tg_relid then
      /* The table by whose name it goes is not empty. */
      return null;
    elsif tg_op = 'TRUNCATE' then
      with appended as (
        insert into :"schema".notification_log as log (xid, channel, metadata, action, key, relation)
        values (writer_xid, channel_name, metadata, tg_op, table_name, relation)
        returning log.action, case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select count(*) into appended_count from appended;
    elsif tg_level = 'ROW' then
      has_moved := tg_op = 'UPDATE' and :"schema".row_key('', id_columns, old_data)
        <> :"schema".row_key('', id_columns, new_data);
      if tg_op = 'UPDATE' and filter_columns is not null and not has_moved
        and not :"schema".has_changed(old_data, new_data, filter_columns)
      then
        return null;
      end if;
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation, old_row, new_row)
        select writer_xid, channel_name, metadata, change.action, entry.*
        from (select case when has_moved then 'DELETE' else tg_op end as action offset 0) as change
        cross join lateral :"schema".log_entry(change.action, old_data, new_data, tg_relid,
          relation, table_name, id_columns, key_columns, excluded_columns, payload, fold) as entry
        returning log.action, case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select count(*) into appended_count from appended;
    elsif tg_op = 'UPDATE' then
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation, old_row, new_row)
        select writer_xid, channel_name, metadata, change.action, entry.*
        from (
          select pair.*, case when :"schema".row_key('', id_columns, pair.old_data)
            <> :"schema".row_key('', id_columns, pair.new_data) then 'DELETE' else 'UPDATE' end as action
          from (
            select case when is_special then :"schema".row_data(o.data) else to_jsonb(o.data) end as old_data,
              case when is_special then :"schema".row_data(n.data) else to_jsonb(n.data) end as new_data
            from (select row_number() over () as number, (data.*)::record as data from old_rows as data) as o
            full join (select row_number() over () as number, (data.*)::record as data from new_rows as data) as n
              using (number)
            where row_expression is null
            union all
            select made.old_data, made.new_data from :"schema".rows_from(source) as made
            where row_expression is not null
            offset 0) as pair
          offset 0) as change
        cross join lateral :"schema".log_entry(change.action, change.old_data, change.new_data,
          tg_relid, relation, table_name, id_columns, key_columns, excluded_columns, payload, fold) as entry
        where filter_columns is null or change.action = 'DELETE'
          or :"schema".has_changed(change.old_data, change.new_data, filter_columns)
        returning log.action, case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select bool_or(appended.action = 'DELETE') into has_moved from appended;
    else
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation, old_row, new_row)
        select writer_xid, channel_name, metadata, tg_op, entry.*
        from (
          select case when is_special then :"schema".row_data(given.data) else to_jsonb(given.data) end as data
          from (select (data.*)::record as data from changed_rows as data offset 0) as given
          where row_expression is null
          union all
          select made.new_data from :"schema".rows_from(source) as made where row_expression is not null
          offset 0) as change
        cross join lateral :"schema".log_entry(tg_op, change.data, change.data, tg_relid,
          relation, table_name, id_columns, key_columns, excluded_columns, payload, fold) as entry
        returning log.action, case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select count(*) into appended_count from appended;
    end if;

    /* Behind every DELETE: another row may have had the new key before. */
    if has_moved and tg_level = 'ROW' then
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation, old_row, new_row)
        select writer_xid, channel_name, metadata, 'INSERT', entry.*
        from :"schema".log_entry('INSERT', null, new_data, tg_relid,
          relation, table_name, id_columns, key_columns, excluded_columns, payload, fold) as entry
        returning log.action, case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select count(*) into appended_count from appended;
    elsif has_moved then
      if row_expression is not null then
        if source is not null then
          close source;
        end if;
        source := null;
        open source for execute :"schema".statement_query(tg_op, row_expression);
      end if;
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation, old_row, new_row)
        select writer_xid, channel_name, metadata, 'INSERT', entry.*
        from (
          select case when is_special then :"schema".row_data(o.data) else to_jsonb(o.data) end as old_data,
            case when is_special then :"schema".row_data(n.data) else to_jsonb(n.data) end as new_data
          from (select row_number() over () as number, (data.*)::record as data from old_rows as data) as o
          full join (select row_number() over () as number, (data.*)::record as data from new_rows as data) as n
            using (number)
          where row_expression is null
          union all
          select made.old_data, made.new_data from :"schema".rows_from(source) as made
          where row_expression is not null
          offset 0) as pair
        cross join lateral :"schema".log_entry('INSERT', null, pair.new_data, tg_relid,
          relation, table_name, id_columns, key_columns, excluded_columns, payload, fold) as entry
        where :"schema".row_key('', id_columns, pair.old_data)
          <> :"schema".row_key('', id_columns, pair.new_data)
        returning log.action, case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select count(*) into appended_count from appended;
    end if;

    if source is not null then
      close source;
    end if;

    if notify_mode in ('always', 'off') then
      return null;
    end if;
    perform :"schema".doorbell_ring(channel_name);
  end;
  return null;
end;
$$;
revoke all on function :"api_schema".notify_data_change() from public;

/*
How far "pgwatch snapshot" got: it hands the rows that a table already has to one consumer.

last_key     the key of the last row that was handed over, its columns as texts; null before the first
finished_at  null while it is under way, or was interrupted
*/
create table :"schema".snapshot (
  consumer_id text,
  schema_name text,
  table_name text,
  last_key text[],
  done bigint not null default 0,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (consumer_id, schema_name, table_name)
);
