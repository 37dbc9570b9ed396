-- Capture: notify_data_change() turns row changes into notifications.

create function :"schema".relation_description(relation_id oid)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
The value of notification_log.relation for a table: schema, table, then the columns of its primary
key. For a partition, these are the name and the primary key of the whole table.
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
/* An array or object in a key, with each of its values as in key_value(). */
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

/* A value in a key: 1.0 and 1.00 are the same, so changes of one row keep their order. Inlined. */
create function :"schema".key_value(value jsonb)
returns jsonb
language sql
immutable
parallel safe
return case
  when value is null or jsonb_typeof(value) not in ('number', 'array', 'object')
    or value::text not like '%.%0%' then value
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
How to write a column in a key so that equal values have the same text. plain: unchanged, because
equal values already have the same text; number: without trailing zeros; interval, padded, citext,
collated: as in key_folded().
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
    when exists (
      select from pg_collation as c
      where c.oid = key_collation and not c.collisdeterministic) then 'collated'
    when t.oid = 'bpchar'::regtype and base.typmod = -1 then 'padded'
    when t.typtype = 'e' or t.oid = any (
      '{bool,"char",name,int2,int4,int8,oid,float4,float8,text,varchar,bpchar,bytea,uuid,date,time,'
      'timetz,timestamp,timestamptz}'::regtype[])
    then 'plain'
    else 'number' end
from base
join pg_type as t on t.oid = base.type_id
where t.typtype <> 'd'
$$;
revoke all on function :"schema".key_writing(oid, integer, oid) from public;

create function :"schema".collated_hash(relation_id oid, column_name text, value text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
The same text for all values that the nondeterministic collation of a column considers equal:
hashtextextended() hashes what such a collation makes of a value (hashfunc.c, since PostgreSQL 12).
If two other values get the same hash, their notifications only keep an order that they do not need;
so trailing spaces, which bpchar ignores, are left out for every type. If this role may not use the
collation, all values get the same text.
*/
declare
  collation_name text;
  may_use boolean;
  hash bigint;
begin
  select format('%I.%I', n.nspname, c.collname), has_schema_privilege(n.oid, 'usage')
  into collation_name, may_use
  from pg_attribute as a
  join pg_collation as c on c.oid = a.attcollation
  join pg_namespace as n on n.oid = c.collnamespace
  where a.attrelid = relation_id and a.attname = column_name and not c.collisdeterministic;
  if not found then
    return value;
  elsif not may_use then
    return '';
  end if;
  execute format('select hashtextextended(rtrim($1, '' '') collate %s, 0)', collation_name)
  into hash using value;
  return to_hex(hash);
end;
$$;
revoke all on function :"schema".collated_hash(oid, text, text) from public;

create function :"schema".key_folded(data jsonb, fold jsonb, relation_id oid)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
set intervalstyle = 'postgres'
as $$
/*
A row in which equal values of the key have the same text.
Parameters: the row; for each column to change, the result of key_writing(); the table.
*/
select data || coalesce((
  select jsonb_object_agg(part.key, case part.value #>> '{}'
    when 'interval' then (
      /* The largest intervals would overflow. */
      select to_jsonb(case
        when abs(extract(year from span.value)) < 100000000
          and abs(extract(day from span.value)) < 1000000000
        then justify_interval(span.value) else span.value end)
      from (select (data ->> part.key)::interval as value) as span)
    when 'padded' then to_jsonb(rtrim(data ->> part.key, ' '))
    when 'citext' then to_jsonb(lower(data ->> part.key))
    else to_jsonb(:"schema".collated_hash(relation_id, part.key, data ->> part.key)) end)
  from jsonb_each(fold) as part
  where jsonb_typeof(data -> part.key) = 'string'), '{}')
$$;
revoke all on function :"schema".key_folded(jsonb, jsonb, oid) from public;

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
schema.table for none, so that all changes of such a table keep their order. It sets no search_path,
because a function that does is not inlined.
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
A part of a row: the given columns and, if another row is given, the columns in which the two rows
differ.
*/
select coalesce(jsonb_object_agg(part.key, part.value), '{}')
from jsonb_each(data) as part
where part.key = any(columns)
  or (other is not null and part.value is distinct from other -> part.key)
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
True if one of the columns has a different value than before, or no longer exists, in which case it
is unknown whether it changed.
*/
select exists (
  select from unnest(columns) as part (column_name)
  where not jsonb_exists(new_data, column_name)
    or old_data -> column_name is distinct from new_data -> column_name)
$$;
revoke all on function :"schema".has_changed(jsonb, jsonb, text[]) from public;

create function :"schema".current_fold(relation_id oid, columns text[])
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* The columns of a key that key_folded() has to change, and how; null if there are none. */
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
/* The key from the current primary key of the table, for triggers that name columns that no longer
   exist. */
declare
  relation constant jsonb := :"schema".relation_description(relation_id);
begin
  return :"schema".row_key(concat(relation ->> 0, '.', relation ->> 1),
    array(select jsonb_array_elements_text(relation - 0 - 0)), data);
end;
$$;
revoke all on function :"schema".current_key(oid, jsonb) from public;

/*
The log entry of a changed row, as one row. Inlined into the statements of notify_data_change(),
whose variables are passed as the parameters. If the row lacks a column that the trigger names,
because it was renamed or dropped, the current primary key of the table is looked up instead.
Excluded columns are in no key either.
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
        case when fold is null then data else :"schema".key_folded(data, fold, relation_id) end)
      else :"schema".current_key(relation_id, data) end,
    case when jsonb_exists_all(data, id_columns) then relation
      else (select :"schema".relation_description(relation_id)) end,
    case when action = 'INSERT' then null
      when payload = 'full' then old_data - excluded_columns
      when payload = 'keys' then
        :"schema".row_part(old_data, null, id_columns || key_columns) - excluded_columns
      when action = 'DELETE' then old_data - excluded_columns
      else :"schema".row_part(old_data, new_data, id_columns || key_columns) - excluded_columns end,
    case when action = 'DELETE' then null
      when payload = 'full' then new_data - excluded_columns
      when payload = 'keys' then
        :"schema".row_part(new_data, null, id_columns || key_columns) - excluded_columns
      when action = 'INSERT' then new_data - excluded_columns
      else :"schema".row_part(new_data, old_data, id_columns || key_columns) - excluded_columns end
  from (
    select case when action = 'DELETE' then old_data else new_data end - excluded_columns as data)
    as row;
end;
revoke all on function :"schema".log_entry(
  text, jsonb, jsonb, oid, jsonb, text, text[], text[], text[], text, jsonb) from public;

/* The author of a change, from the application's settings; null if there are none. Inlined. */
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

/* The options in the second argument of notify_data_change(). */
create function :"schema".capture_options()
returns text[]
language sql
immutable
return array[
  'id', 'key', 'table', 'columns', 'exclude', 'payload', 'fold', 'notify', 'when', 'for_each'];
revoke all on function :"schema".capture_options() from public;

create function :"schema".has_wrong_option(options jsonb)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* True if an option has a value of the wrong type. */
select exists (
  select from jsonb_each(options) as option
  where case
    when option.key in ('id', 'key', 'columns', 'exclude', 'table') then
      case when jsonb_typeof(option.value) <> 'array' then true else exists (
        select from jsonb_array_elements(option.value) as item
        where jsonb_typeof(item) <> 'string')
        or option.key = 'table' and jsonb_array_length(option.value) <> 2 end
    when option.key = 'fold' then
      case when jsonb_typeof(option.value) <> 'object' then true else exists (
        select from jsonb_each(option.value) as item
        where jsonb_typeof(item.value) <> 'string') end
    else option.key in ('payload', 'notify', 'when', 'for_each')
      and jsonb_typeof(option.value) <> 'string' end)
$$;
revoke all on function :"schema".has_wrong_option(jsonb) from public;

create function :"schema".trigger_check(
  trigger_name text, table_name text, is_after boolean, channel_name text, options jsonb)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* Raises PW001 or PW003, with the reason, for a trigger that notify_data_change() cannot serve. */
declare
  complaint constant text := case
    when not is_after then 'must be an AFTER trigger'
    when starts_with(table_name, :'schema' || '.') then 'would capture pgwatch''s own tables'
    when jsonb_typeof(options) <> 'object' then 'has options that are not a JSON object'
    when options - :"schema".capture_options() <> '{}' then
      format('has the unknown option %s; the options are %s',
        (select min(key) from jsonb_object_keys(options - :"schema".capture_options()) as key),
        array_to_string(:"schema".capture_options(), ', '))
    when :"schema".has_wrong_option(options) then
      'has an option of the wrong type: id, key, columns and exclude are lists of texts, table is '
      'a list of two, fold is an object of texts, and the others are texts'
    when options ->> 'payload' not in ('full', 'keys', 'changed') then
      format('has the payload %s, which must be full, keys or changed', options ->> 'payload')
    when options ->> 'notify' not in ('always', 'doorbell', 'off') then
      format('has the notify mode %s, which must be always, doorbell or off', options ->> 'notify')
    end;
begin
  perform :"schema".channel_check(channel_name);
  if complaint is not null then
    raise exception 'Trigger % on % %.', trigger_name, table_name, complaint
    using errcode = 'PW003';
  end if;
end;
$$;
revoke all on function :"schema".trigger_check(text, text, boolean, text, jsonb) from public;

create function :"schema".checked_options(
  argument text, trigger_name text, table_name text, channel_name text)
returns jsonb
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* The second argument of a trigger. Raises PW003 if its options have wrong types. */
declare
  options constant jsonb := coalesce(argument, '{}');
begin
  if jsonb_typeof(options) <> 'object' or :"schema".has_wrong_option(options) then
    perform :"schema".trigger_check(trigger_name, table_name, true, channel_name, options);
  end if;
  return options;
end;
$$;
revoke all on function :"schema".checked_options(text, text, text, text) from public;

create function :"schema".without_zeros(json_text text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
/*
JSON text with U+FFFD in place of what jsonb cannot store: the character zero, and surrogates
without their other half. The text is split into escapes and the text between them, and reassembled.
A single regexp_replace() would need a lookbehind, which PostgreSQL evaluates from the start of the
text for each match: minutes for a megabyte of escapes.
*/
select coalesce(string_agg(
  case when length(part[1]) = 6 and part[1] ~ E'^\\\\u(0000|[dD][89a-fA-F])' then E'\\ufffd'
    else part[1] end,
  '' order by place), '')
from regexp_matches(json_text,
  E'[^\\\\]+|\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..|\\\\u....|\\\\.', 'g')
  with ordinality as found (part, place)
$$;
revoke all on function :"schema".without_zeros(text) from public;

create function :"schema".types_within(type_ids oid[])
returns setof oid
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/* Types, and all types that they contain. In plpgsql, which keeps the plan for the session. */
begin
  return query
  with recursive part (type_id) as (
    select unnest(type_ids)
    union
    select inner_part.type_id
    from part
    cross join lateral (
      select unnest(array[t.typbasetype, t.typelem]) from pg_type as t where t.oid = part.type_id
      union all
      select a.atttypid
      from pg_type as t
      join pg_attribute as a on a.attrelid = t.typrelid
      where t.oid = part.type_id and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped
    ) as inner_part (type_id))
  select part.type_id from part where part.type_id <> 0;
end;
$$;
revoke all on function :"schema".types_within(oid[]) from public;

create function :"schema".column_types(relation_id oid)
returns setof oid
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* The types of a table's columns, and all types that they contain. */
select :"schema".types_within(array(
  select a.atttypid from pg_attribute as a
  where a.attrelid = relation_id and a.attnum > 0 and not a.attisdropped))
$$;
revoke all on function :"schema".column_types(oid) from public;

create function :"schema".type_kind(type_id oid, acting_role name)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
What to_jsonb() does with values of the type, through any number of domains, arrays and composites:
foreign  it may run a cast to json that belongs to a role that cannot act as acting_role: the owner
         of a type can create a cast at any moment, and the owner of a composite type can add a
         column of such a type
json     it converts them through json, which may contain what jsonb cannot
plain    neither
If the parts of a type differ, the alphabetically first kind wins. 16384 is the first oid that is
not PostgreSQL's own; to_jsonb() looks up casts only for types from there on. The base type of a
domain and the element type of an array cannot be changed.
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
        select case when pg_has_role(f.proowner, acting_role, 'usage') then 'json'
          else 'foreign' end
        from pg_cast as c
        join pg_proc as f on f.oid = c.castfunc
        where c.castsource = t.oid and c.casttarget = 'json'::regtype), 'plain') end
    from pg_type as t
    where t.oid = type_id), 'foreign');
end;
$$;
revoke all on function :"schema".type_kind(oid, name) from public;

create function :"schema".row_data(data record, row_query text default null)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set array_nulls = on
as $$
/*
A row, as jsonb, of a table with columns that are converted through the type json. They may contain
what jsonb cannot, but no write may fail because of that. Escapes of the character zero and of
unpaired surrogates become U+FFFD. If the problem is another one, such as a huge number or excessive
depth, the column becomes the text of its JSON.
Parameters: the row; the statement from row_query() that converts it, if to_jsonb() must not.
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
    select part.key, part.value
    from json_each(:"schema".without_zeros(row_to_json(data)::text)::json) as part
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
/* An array with the given dimensions, from all of its items in order. */
declare
  size constant integer := cardinality(items) / lengths[1];
begin
  return case when cardinality(lengths) < 2 then to_jsonb(items) else (
    select jsonb_agg(
      :"schema".nested_array(items[(n - 1) * size + 1 : n * size], lengths[2:]) order by n)
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
An expression that converts a value to JSON as to_jsonb() would without any user-defined casts, for
types of the kind foreign: a value becomes the text from its type's output function, and each column
of a composite is named. So the statement looks up nothing that the type's owner may create while it
runs.
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
    return format('(%I.row_data((select one from (select %s as value) as one)) -> ''value'')',
      :'schema', value);
  elsif part.typtype = 'd' then
    return :"schema".value_sql(part.typbasetype, value, acting_role);
  elsif part.typtype = 'c' then
    return format('case when num_nulls(%s) = 0 then %s end', value, (
      select concat_ws(' || ', '''{}''::jsonb', string_agg(
        format('jsonb_build_object(%L, %s)', a.attname,
          :"schema".value_sql(a.atttypid, format('(%s).%I', value, a.attname), acting_role)),
        ' || ' order by a.attnum))
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
    where t.oid = base_id and t.typtype <> 'c'
      and t.typsubscript <> 'array_subscript_handler'::regproc)
  then
    return format(
      'case when %1$s is not null then to_jsonb(format(''%%s'', %1$s)::text[]) end', value);
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
An expression that converts a row t of a table to JSON without running casts of other roles; null if
to_jsonb() runs none.
Parameters: the table; the role whose privileges the casts would have; columns to omit; columns of
which only a hash is needed, to detect changes; true to return an expression in any case.
Omitted columns count, too: to_jsonb() would run their casts. Each type is examined once:
value_sql() is called with a placeholder that no name can contain, which is then replaced by the
value. A function call can have up to 100 arguments.
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
    case when type.kind = 'foreign'
      then :"schema".value_sql(type.id, (select mark.text from mark), acting_role) end as sql
  from (
    select distinct_type.id, :"schema".type_kind(distinct_type.id, acting_role) as kind
    from (select distinct part.type_id as id from part offset 0) as distinct_type
    offset 0) as type
), named as (
  select format('%L, %s', part.name, case
      when part.is_hashed and part.type_id = 'bytea'::regtype
      then format('encode(sha256(t.%I), ''hex'')', part.name)
      when part.is_hashed then format(
        'case when %1$s is not null then '
        'encode(sha256(convert_to(format(''%%s'', %1$s), ''UTF8'')), ''hex'') end',
        format('t.%I', part.name))
      else replace(kind.sql, (select mark.text from mark), format('t.%I', part.name)) end) as text,
    (row_number() over (order by part.number) - 1) / 50 as call
  from part join kind on kind.id = part.type_id
  where (part.is_hashed or kind.kind = 'foreign') and not part.is_omitted
), plain as (
  select format('(select %s from (select %s offset 0) as plain)',
    case when bool_or(kind.kind = 'json') then format('%I.row_data(plain.*)', :'schema')
      else 'to_jsonb(plain.*)' end,
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

create function :"schema".row_query(expression text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* A statement that converts its parameter, a row of a table, to JSON with the expression from
   row_sql(); null for null. It names no type: the schema of one may be closed to this role. */
select format('select %s from (select ($1).*) as t', expression) where expression is not null
$$;
revoke all on function :"schema".row_query(text) from public;

create function :"schema".statement_query(operation text, expression text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
/*
A statement that converts the transition tables of a statement trigger to JSON with the expression
from row_sql(): for an UPDATE the old and new rows, paired by their order; otherwise the rows twice.
Null for null.
*/
select case when operation = 'UPDATE' then format('select o.data, n.data
    from (select row_number() over () as number, %1$s as data from old_rows as t) as o
    full join (select row_number() over () as number, %1$s as data from new_rows as t) as n
      using (number)', expression)
  else format('select made.data, made.data
    from (select %s as data from changed_rows as t offset 0) as made', expression) end
where expression is not null
$$;
revoke all on function :"schema".statement_query(text, text) from public;

create function :"schema".rows_from(source refcursor)
returns table (old_data jsonb, new_data jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
/* The rows of a cursor over statement_query(). A cursor, because only the trigger function itself
   can read its transition tables. */
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
/* True if the owners of the table and of the types of its columns can act as the current user. */
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
/* The current types of a row's columns, regardless of what a snapshot shows of the catalog. */
declare
  bytes constant bytea := record_send(data);
  at integer := 5;
begin
  /* The number of columns; for each its type, its length or -1, and its value. */
  for number in 1..('x' || encode(substring(bytes for 4), 'hex'))::bit(32)::integer loop
    return next ('x' || encode(substring(bytes from at for 4), 'hex'))::bit(32)::bigint::oid;
    at := at + 8
      + greatest(('x' || encode(substring(bytes from at + 4 for 4), 'hex'))::bit(32)::integer, 0);
  end loop;
end;
$$;
revoke all on function :"schema".record_types(record) from public;

create function :"schema".relation_is_current(relation_id oid)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/* True if the transaction's snapshot shows the current version of a table, or a composite type, and
   of its columns: not if it was created later. In plpgsql, which keeps the plan for the session. */
begin
  return exists (select from pg_class as c where c.oid = relation_id) and not exists (
    select from pg_class as c
    where c.oid = relation_id and currtid2('pg_catalog.pg_class', c.ctid) <> c.ctid
    union all
    select from pg_attribute as a
    where a.attrelid = relation_id and a.attnum > 0
      and currtid2('pg_catalog.pg_attribute', a.ctid) <> a.ctid);
end;
$$;
revoke all on function :"schema".relation_is_current(oid) from public;

create function :"schema".casts_are_current(type_id oid)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
True if the transaction's snapshot shows the cast of a type to json that there is now, if any, and
the current version of its function. Casts cannot be looked up without a snapshot; whether one
exists now shows when it is used in a statement, which does not run it. A type of strings, which
only a superuser can create, can be cast without one.
*/
declare
  is_shown boolean := false;
  is_current boolean := true;
begin
  select true, pg_describe_object('pg_cast'::regclass, c.oid, 0) is not null
    and (f.oid is null or currtid2('pg_catalog.pg_proc', f.ctid) = f.ctid)
  into is_shown, is_current
  from pg_cast as c
  left join pg_proc as f on f.oid = c.castfunc
  where c.castsource = type_id and c.casttarget = 'json'::regtype;
  if is_current is false or exists (
    select from pg_type as t where t.oid = type_id and t.typcategory = 'S')
  then
    return is_current is not false;
  end if;
  begin
    execute format('select x::json from (select null::%s offset 0) as given (x) where false',
      format_type(type_id, null));
  exception
    when cannot_coerce then
      return is_shown is not true;
    when insufficient_privilege then
      /* The schema of the type may not be used. The type has passed type_kind(). */
      return true;
  end;
  return is_shown is true;
end;
$$;
revoke all on function :"schema".casts_are_current(oid) from public;

create function :"schema".types_are_current(type_ids oid[])
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
True if the transaction's snapshot shows the current version of types, of the types they contain,
and of their casts: to_jsonb() uses the current version, which may have another owner. currtid2()
returns the location of the newest version of a row. PostgreSQL's own types, with numbers below
16384, contain no others and do not change; most tables have only those.
*/
declare
  own_ids constant oid[] := array(select t.id from unnest(type_ids) as t (id) where t.id >= 16384);
begin
  return own_ids = '{}' or not exists (
    select from unnest(own_ids) as given (type_id)
    where not exists (select from pg_type as t where t.oid = given.type_id)
  ) and not exists (
    select from :"schema".types_within(own_ids) as part (type_id)
    join pg_type as t on t.oid = part.type_id
    where t.oid >= 16384 and (
      currtid2('pg_catalog.pg_type', t.ctid) <> t.ctid
      or t.typrelid <> 0 and not :"schema".relation_is_current(t.typrelid)
      /* to_jsonb() uses no casts of the other kinds, and is not used for types of others. */
      or t.typtype in ('b', 'e', 'r', 'm') and pg_has_role(t.typowner, current_user, 'usage')
        and not :"schema".casts_are_current(t.oid)));
end;
$$;
revoke all on function :"schema".types_are_current(oid[]) from public;

create function :"schema".table_is_current(relation_id oid)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/* True if relation_is_current() and types_are_current() hold for a table and its columns' types. */
begin
  return :"schema".relation_is_current(relation_id) and :"schema".types_are_current(array(
    select a.atttypid from pg_attribute as a
    where a.attrelid = relation_id and a.attnum > 0 and not a.attisdropped));
end;
$$;
revoke all on function :"schema".table_is_current(oid) from public;

create function :"schema".snapshot_refuse(trigger_name text, relation_id oid)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
/* Raises 40001: a transaction that begins now will see the table, and its types, as they are. */
begin
  raise exception 'Trigger % on % could not serialize access: the table, or types of its columns, '
    'were created or changed after this transaction began.', trigger_name, relation_id::regclass
  using errcode = 'serialization_failure', hint = 'The transaction might succeed if retried.';
end;
$$;
revoke all on function :"schema".snapshot_refuse(text, oid) from public;

create function :"schema".key_is_current(relation_id oid)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
/* True unless the transaction's snapshot shows a primary key that the table no longer has. The row
   of a dropped one stays in the snapshot, but pg_get_indexdef() finds it no longer. */
select not exists (
  select from pg_index as i
  where i.indrelid = coalesce(pg_partition_root(relation_id), relation_id) and i.indisprimary
    and (currtid2('pg_catalog.pg_index', i.ctid) <> i.ctid
      or pg_get_indexdef(i.indexrelid) is null))
$$;
revoke all on function :"schema".key_is_current(oid) from public;

create function :"schema".types_require_current(trigger_name text, relation_id oid, data record)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
/*
For a table that is newer than the transaction's snapshot: whether a row of it may contain what
jsonb cannot. Raises 40001 if a type of the row is newer than the snapshot, or belongs to another
role.
*/
declare
  type_ids oid[];
  kind text;
begin
  begin
    type_ids := array(select :"schema".record_types(data));
  exception
    when undefined_function then
      /* A type without a binary output function. */
      null;
  end;
  kind := (
    select min(:"schema".type_kind(t.type_id, current_user))
    from unnest(type_ids) as t (type_id));
  if type_ids is null or kind = 'foreign' or not :"schema".types_are_current(type_ids) then
    perform :"schema".snapshot_refuse(trigger_name, relation_id);
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
Raises PW003 for a trigger without the transition tables that it needs: instead of them, the
function would read a temporary table or view of the session, with the privileges of pgwatch's
owner. Raises 40001 if the transaction's snapshot does not show the trigger that fires. Once a table
is written to, nobody can change its triggers; the one in the snapshot may have been replaced, or
dropped, which does not affect the location of its row, but pg_get_triggerdef() finds it no longer.
*/
declare
  has_tables boolean;
begin
  select case
    when t.tgtype::integer & 16 > 0 then t.tgoldtable = 'old_rows' and t.tgnewtable = 'new_rows'
    else 'changed_rows' in (t.tgoldtable, t.tgnewtable) end
  into has_tables
  from pg_trigger as t
  where t.tgrelid = relation_id and t.tgname = trigger_name
    and currtid2('pg_catalog.pg_trigger', t.ctid) = t.ctid
    and pg_get_triggerdef(t.oid) is not null;
  if not found then
    perform :"schema".snapshot_refuse(trigger_name, relation_id);
  elsif has_tables is not true then
    raise exception 'Trigger % on % lacks its transition tables: a trigger for each statement '
      'needs the clause "referencing" that "pgwatch trigger sql" prints.',
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
/* Sends the NOTIFY of a captured change that plain LISTEN clients read. The payload of a large
   change is not built, because it might exceed the limit of jsonb. */
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

Use: "pgwatch trigger add TABLE", or manually
  create trigger NAME after insert or update or delete on TABLE
    for each row execute function notify_data_change('CHANNEL', 'OPTIONS');
  create trigger NAME after update on TABLE referencing old table as old_rows new table as new_rows
    for each statement execute function notify_data_change('CHANNEL', 'OPTIONS');
  and likewise for insert with new table as changed_rows, for delete with old table as changed_rows,
  and for truncate with neither.
Arguments, all optional: the channel, default data_change; options, a JSON object:
  id       the columns of the primary key; looked up at every change if not given
  key      the columns that form the key, default id
  table    the schema and name in the payload and the key, default those of the table
  columns  an UPDATE counts only if one of these columns, or of id, has changed
  exclude  columns that are never in a payload
  payload  full (default); keys: only the columns of id and key; changed: for an UPDATE these and
           the changed columns
  fold     how some columns of the key are written, as in current_fold(); looked up if id is not
           given
  notify   as the setting
and three more that "pgwatch trigger add" writes if no option except id and table matters: the only
column of id and, if table is given, its parts.
An UPDATE that changes the id becomes a DELETE and an INSERT, because their keys differ.
Raises: PW001 for a bad channel, PW003 for a trigger it cannot serve (both at the first change).
Settings: pgwatch.notify: always, doorbell (default here) or off. The option notify overrides it,
except off. app.user_id and app.session_id go into the metadata. The settings that affect how values
are written are pinned, mainly for keys: a row has the same key in every session, and numbers have
all their digits. plan_cache_mode is pinned, too: a session that begins with changes of many rows
would otherwise plan each later single row again.
Tables written: notification_log.
*/
declare
  is_plain boolean;
  has_moved boolean;
begin
  /*
  The fast path, for triggers with a third argument. Every expression here costs time in every
  transaction. The slow path handles rows that lack the column because it has been renamed, tables
  that have since got columns for which to_jsonb() may fail, and keys that have to be folded. A
  transaction that has changed a row has an xid. The owner of a type may create a cast of it to json
  between any two of our statements, and to_jsonb() would run it as pgwatch's owner, so the slow
  path also handles tables with types of other owners.
  */
  is_plain := tg_argv[2] is not null
    and lower(coalesce(current_setting('pgwatch.notify', true), '')) <> 'always'
    and (current_setting('transaction_isolation') like 'read%'
      or :"schema".table_is_current(tg_relid))
    and not exists (
      select from pg_attribute as a
      where a.attrelid = tg_relid and a.attnum > 0 and (
        a.atttypid in ('json'::regtype, 'json[]'::regtype)
        or a.atttypid >= 16384 and :"schema".type_kind(a.atttypid, current_user) <> 'plain'
        or a.attname = tg_argv[2]
          and a.atttypid <> all ('{int2,int4,int8,uuid}'::regtype[])
          and (a.atttypid <> all ('{text,varchar}'::regtype[])
            or a.attcollation <> '"default"'::regcollation)
          and :"schema".key_writing(a.atttypid, a.atttypmod, a.attcollation) <> 'plain'));
  if is_plain and tg_level = 'STATEMENT' and tg_op in ('INSERT', 'DELETE')
    and to_regclass('pg_temp.changed_rows') is null
  then
    insert into :"schema".notification_log
      (xid, channel, metadata, action, relation, key, old_row, new_row)
    select same.xid, tg_argv[0], same.metadata, tg_op, same.relation,
      same.prefix || (change.data ->> tg_argv[2]),
      case when tg_op = 'DELETE' then change.data end,
      case when tg_op = 'INSERT' then change.data end
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
    Both tables contain the rows in the order of their changes. Only a full join excludes a nested
    loop, which would be planned while there are few rows and then kept for many.
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
          from (
            select row_number() over () as number, (data.*)::record as data
            from old_rows as data) as o
          full join (
            select row_number() over () as number, (data.*)::record as data
            from new_rows as data) as n
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
    channel_name constant text := coalesce(tg_argv[0], 'data_change');
    options constant jsonb := :"schema".checked_options(tg_argv[1], tg_name,
      concat(tg_table_schema, '.', tg_table_name), channel_name);
    /* A notification must not have an id before its transaction has an xid; a transaction that has
       changed a row has one. */
    writer_xid constant xid8 := pg_current_xact_id_if_assigned();
    setting constant text := lower(coalesce(current_setting('pgwatch.notify', true), ''));
    notify_mode constant text := case setting when 'off' then setting
      else coalesce(options ->> 'notify', setting) end;
    metadata constant jsonb := :"schema".change_metadata();
    payload constant text := coalesce(options ->> 'payload', 'full');
    /* Columns of id and key that the table no longer has: they were renamed or dropped, and the
       primary key is looked up instead. An old snapshot may show no column at all. */
    missing constant text[] := array(
      select name
      from unnest(:"schema".text_list(options -> 'id') || :"schema".text_list(options -> 'key'))
        as name
      where exists (select from pg_attribute as a where a.attrelid = tg_relid)
        and not exists (
          select from pg_attribute as a
          where a.attrelid = tg_relid and a.attname = name and a.attnum > 0
            and not a.attisdropped));
    relation constant jsonb := case
      when jsonb_exists(options, 'id') and not missing && :"schema".text_list(options -> 'id')
      then coalesce(options -> 'table', jsonb_build_array(tg_table_schema, tg_table_name))
        || (options -> 'id')
      else :"schema".relation_description(tg_relid) end;
    table_name constant text := concat(relation ->> 0, '.', relation ->> 1);
    id_columns constant text[] := case jsonb_array_length(relation)
      when 3 then array[relation ->> 2]
      else :"schema".text_list(relation - 0 - 0) end;
    key_columns constant text[] := case
      when jsonb_exists(options, 'key') and not missing && :"schema".text_list(options -> 'key')
      then :"schema".text_list(options -> 'key') else id_columns end;
    /* Triggers do not see the value of a virtual column: if one is named, each UPDATE counts. */
    filter_columns constant text[] := case when jsonb_exists(options, 'columns')
        and not exists (
          select from pg_attribute as a
          where a.attrelid = tg_relid and a.attgenerated = 'v'
            and a.attname = any (:"schema".text_list(options -> 'columns')))
      then :"schema".text_list(options -> 'columns') end;
    excluded_columns constant text[] := case when jsonb_exists(options, 'exclude')
      then :"schema".text_list(options -> 'exclude') else '{}' end;
    fold constant jsonb := case when jsonb_exists(options, 'id') and missing = '{}'
      then options -> 'fold' else :"schema".current_fold(tg_relid, key_columns) end;
    /* Columns that are in no payload. They are omitted, or hashed if they decide whether an UPDATE
       counts. */
    unpublished constant text[] := array(
      select a.attname::text from pg_attribute as a
      where (payload = 'keys' or excluded_columns <> '{}')
        and a.attrelid = tg_relid and a.attnum > 0
        and a.attname <> all (id_columns || key_columns)
        and (payload = 'keys' or a.attname = any (excluded_columns)));
    omitted constant text[] := case
      when unpublished = '{}' or filter_columns is null then unpublished
      else array(
        select name from unnest(unpublished) as name where name <> all (filter_columns)) end;
    hashed constant text[] := case when unpublished = '{}' or filter_columns is null then '{}'
      else array(
        select name from unnest(unpublished) as name where name = any (filter_columns)) end;
    /* How to convert a row to JSON if to_jsonb() must not do it. */
    row_expression text := :"schema".row_sql(tg_relid, current_user, omitted, hashed);
    row_query text;
    source refcursor;
    /* The compressed size below which a row never exceeds the limit of jsonb. */
    large_size constant integer := 262144;
    is_large boolean;
    is_current boolean := true;
    sample jsonb;
    is_special boolean := exists (
      select from pg_attribute as a
      where a.attrelid = tg_relid and a.attnum > 0 and (
        a.atttypid in ('json'::regtype, 'json[]'::regtype)
        or a.atttypid >= 16384 and :"schema".type_kind(a.atttypid, current_user) <> 'plain'));
    /* True if only the INSERTs of changed ids are left to do. */
    is_done constant boolean := found;
    old_data jsonb;
    new_data jsonb;
    appended_count bigint;
  begin
    if tg_when <> 'AFTER' or tg_table_schema = :'schema'
      or octet_length(channel_name) not between 1 and 63
      or options - :"schema".capture_options() <> '{}' or payload not in ('full', 'keys', 'changed')
      or notify_mode not in ('', 'always', 'doorbell', 'off') and jsonb_exists(options, 'notify')
    then
      perform :"schema".trigger_check(tg_name, concat(tg_table_schema, '.', tg_table_name),
        tg_when = 'AFTER', channel_name, options);
    end if;
    if tg_level = 'STATEMENT' and tg_op <> 'TRUNCATE'
      and coalesce(to_regclass('pg_temp.changed_rows'),
        to_regclass('pg_temp.old_rows'), to_regclass('pg_temp.new_rows')) is not null
    then
      perform :"schema".transition_check(tg_name, tg_relid);
    end if;
    if current_setting('transaction_isolation') not like 'read%' and tg_op <> 'TRUNCATE'
      and writer_xid is not null and not :"schema".table_is_current(tg_relid)
    then
      row_expression := null;
      is_current := false;
      if not jsonb_exists(options, 'id') then
        /* The snapshot does not show the primary key. */
        perform :"schema".snapshot_refuse(tg_name, tg_relid);
      end if;
      if tg_level = 'ROW' then
        is_special := :"schema".types_require_current(tg_name, tg_relid, coalesce(new, old));
        sample := :"schema".row_data(coalesce(new, old));
      elsif tg_op = 'UPDATE' then
        select :"schema".types_require_current(tg_name, tg_relid, (data.*)::record) into is_special
        from new_rows as data limit 1;
        select :"schema".row_data((data.*)::record) into sample from new_rows as data limit 1;
      else
        select :"schema".types_require_current(tg_name, tg_relid, (data.*)::record) into is_special
        from changed_rows as data limit 1;
        select :"schema".row_data((data.*)::record) into sample from changed_rows as data limit 1;
      end if;
      if sample is not null and not jsonb_exists_all(sample, id_columns || key_columns) then
        /* The snapshot does not show what they are called now. */
        perform :"schema".snapshot_refuse(tg_name, tg_relid);
      end if;
    end if;
    if writer_xid is null then
      /* The statement changed no rows. */
      return null;
    elsif relation is null or not jsonb_exists(options, 'id')
      and current_setting('transaction_isolation') not like 'read%'
      and not :"schema".key_is_current(tg_relid)
    then
      perform :"schema".snapshot_refuse(tg_name, tg_relid);
    end if;
    /* Do not convert large columns that are in no payload: that is wasted work, and may exceed the
       limit of jsonb. */
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
      row_query := :"schema".row_query(row_expression);
      is_special := is_special or row_query is not null;
      old_data := case when tg_op = 'INSERT' then null
        when is_special then :"schema".row_data(old, row_query)
        else to_jsonb(old) end;
      new_data := case when tg_op = 'DELETE' then null
        when is_special then :"schema".row_data(new, row_query)
        else to_jsonb(new) end;
    elsif row_expression is not null and tg_op <> 'TRUNCATE' and not is_done then
      open source for execute :"schema".statement_query(tg_op, row_expression);
    end if;
    /*
    The statements use the rows only as records, so no column name can conflict with one of ours.
    The announcements use what the insert returns, because reading the log would abort serializable
    writers.
    */
    if is_done then
      null;
    elsif tg_op = 'TRUNCATE' and pg_partition_root(tg_relid) <> tg_relid then
      /* The whole table, whose name the notification would have, is not empty. */
      return null;
    elsif tg_op = 'TRUNCATE' then
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation)
        values (writer_xid, channel_name, metadata, tg_op, table_name, relation)
        returning log.action,
          case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
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
        returning log.action,
          case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select count(*) into appended_count from appended;
    elsif tg_op = 'UPDATE' then
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation, old_row, new_row)
        select writer_xid, channel_name, metadata, change.action, entry.*
        from (
          select pair.*, case when :"schema".row_key('', id_columns, pair.old_data)
            <> :"schema".row_key('', id_columns, pair.new_data)
            then 'DELETE' else 'UPDATE' end as action
          from (
            select case when is_special then :"schema".row_data(o.data)
              else to_jsonb(o.data) end as old_data,
              case when is_special then :"schema".row_data(n.data)
                else to_jsonb(n.data) end as new_data
            from (
              select row_number() over () as number, (data.*)::record as data
              from old_rows as data) as o
            full join (
              select row_number() over () as number, (data.*)::record as data
              from new_rows as data) as n
              using (number)
            where row_expression is null
            union all
            select made.old_data, made.new_data from :"schema".rows_from(source) as made
            where row_expression is not null
            offset 0) as pair
          offset 0) as change
        cross join lateral :"schema".log_entry(change.action, change.old_data, change.new_data,
          tg_relid, relation, table_name, id_columns, key_columns, excluded_columns, payload, fold)
          as entry
        where filter_columns is null or change.action = 'DELETE'
          or :"schema".has_changed(change.old_data, change.new_data, filter_columns)
        returning log.action,
          case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select bool_or(appended.action = 'DELETE') into has_moved from appended;
    else
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation, old_row, new_row)
        select writer_xid, channel_name, metadata, tg_op, entry.*
        from (
          select case when is_special then :"schema".row_data(given.data)
            else to_jsonb(given.data) end as data
          from (select (data.*)::record as data from changed_rows as data offset 0) as given
          where row_expression is null
          union all
          select made.new_data from :"schema".rows_from(source) as made
          where row_expression is not null
          offset 0) as change
        cross join lateral :"schema".log_entry(tg_op, change.data, change.data, tg_relid,
          relation, table_name, id_columns, key_columns, excluded_columns, payload, fold) as entry
        returning log.action,
          case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
      select count(*) into appended_count from appended;
    end if;

    /* After every DELETE, because another row may have had the new key before. */
    if has_moved and tg_level = 'ROW' then
      with appended as (
        insert into :"schema".notification_log as log
          (xid, channel, metadata, action, key, relation, old_row, new_row)
        select writer_xid, channel_name, metadata, 'INSERT', entry.*
        from :"schema".log_entry('INSERT', null, new_data, tg_relid,
          relation, table_name, id_columns, key_columns, excluded_columns, payload, fold) as entry
        returning log.action,
          case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
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
          select case when is_special then :"schema".row_data(o.data)
            else to_jsonb(o.data) end as old_data,
            case when is_special then :"schema".row_data(n.data)
              else to_jsonb(n.data) end as new_data
          from (
            select row_number() over () as number, (data.*)::record as data
            from old_rows as data) as o
          full join (
            select row_number() over () as number, (data.*)::record as data
            from new_rows as data) as n
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
        returning log.action,
          case when notify_mode = 'always' then :"schema".change_announce(log.*) end)
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
The progress of "pgwatch snapshot", which publishes the existing rows of a table to one consumer.

last_key     the key of the last row published, its columns as texts; null before the first
key_columns  the oid of the table, then the names and types of these columns: if one differs,
             last_key means another place, and the snapshot starts over
finished_at  null while it runs, or if it was interrupted
*/
create table :"schema".snapshot (
  consumer_id text,
  schema_name text,
  table_name text,
  last_key text[],
  key_columns text[],
  done bigint not null default 0,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (consumer_id, schema_name, table_name)
);
