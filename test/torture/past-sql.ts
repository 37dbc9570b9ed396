/**
 * Makes the round's writers write to partitions of January 2020, on the day in torture.past.
 * Cleanup empties each partition as a whole once it is read. What was stored is kept in
 * torture.kept, since no trigger sees the rows of a truncated table.
 */
export const PAST_SQL = `
create table torture.past (day integer);
insert into torture.past values (1);
create table torture.kept (id bigint primary key, key text, payload jsonb);
do $$ begin
  for day in 1..30 loop
    execute format(
      'create table pgwatch.notification_log_202001%s partition of pgwatch.notification_log
       for values from (%L) to (%L)',
      to_char(day, 'FM00'), '2020-01-01'::date + day - 1, '2020-01-01'::date + day);
  end loop;
end $$;
create function torture.past() returns timestamptz language sql volatile
  return (select '2020-01-01'::timestamptz + (day - 1) * interval '1 day' + interval '12 hours'
      + (clock_timestamp() - date_trunc('hour', clock_timestamp())) from torture.past);
alter table pgwatch.notification_log alter column created_at set default torture.past();
create function torture.keep() returns trigger language plpgsql as $$
begin
  insert into torture.kept values (new.id, new.key, new.payload);
  return null;
end $$;
create trigger keep after insert on pgwatch.notification_log for each row
execute function torture.keep();
create or replace view torture.stored as select id, key, payload from torture.kept;`;
