-- Publishing: smart_notify() appends to the log in the caller's transaction and rings the doorbell.

/* The first key of the advisory locks that sleeping daemons hold for their channels. */
create function :"schema".doorbell_class()
returns integer
language sql
immutable
parallel safe
return hashtext('pgwatch doorbell ' || :'schema');
revoke all on function :"schema".doorbell_class() from public;

/*
True if no daemon sleeps on a channel, or, for '*', on a pattern. A sleeping daemon holds a shared
lock, so getting the exclusive lock means that none sleeps. Both calls are in one expression, so a
cancelled query cannot keep the lock. Inlined.
*/
create function :"schema".doorbell_is_free(channel_name text)
returns boolean
language sql
volatile
return pg_try_advisory_lock(:"schema".doorbell_class(), hashtext(channel_name))
  and pg_advisory_unlock(:"schema".doorbell_class(), hashtext(channel_name));
revoke all on function :"schema".doorbell_is_free(text) from public;

/*
True if no daemon has to be woken for a channel: none sleeps, or pgwatch.notify is off. Inlined.
*/
create function :"schema".doorbell_is_quiet(channel_name text)
returns boolean
language sql
volatile
return lower(coalesce(current_setting('pgwatch.notify', true), '')) = 'off'
  or (:"schema".doorbell_is_free(channel_name) and :"schema".doorbell_is_free('*'));
revoke all on function :"schema".doorbell_is_quiet(text) from public;

create function :"schema".doorbell_ring(channel_name text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Wakes the daemons that sleep on a channel, if there are any. NOTIFY makes commits wait for each
other, so it is used only if a daemon needs it.

The caller must already have its xid and have inserted its row: the daemon polls until every
transaction that was running when it took its lock has ended.
Parameters: the channel. Returns: nothing. Tables written: none.
*/
begin
  if not :"schema".doorbell_is_quiet(channel_name) and pg_notification_queue_usage() < 0.5 then
    perform pg_notify(:'schema', channel_name);
  end if;
end;
$$;
revoke all on function :"schema".doorbell_ring(text) from public;

create function :"schema".channel_check(channel_name text)
returns void
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
/* Raises PW001 unless the name can be a channel: LISTEN silently truncates longer names. */
begin
  if channel_name is null or octet_length(channel_name) not between 1 and 63 then
    raise exception 'A channel is a name of 1 to 63 bytes, not %.', case
      when channel_name is null then 'null'
      when channel_name = '' then 'an empty one'
      else format('one of %s bytes: %s...', octet_length(channel_name), left(channel_name, 20)) end
    using errcode = 'PW001',
      hint = 'The limit is in bytes, not characters: an accented letter takes two.';
  end if;
end;
$$;
revoke all on function :"schema".channel_check(text) from public;

create function :"schema".notification_announce(
  channel_name text, notification_id bigint, created_at timestamptz, payload_data jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Sends the NOTIFY that plain LISTEN clients read, with the payload if it fits into the 8000 bytes
that PostgreSQL allows, otherwise by reference. The text of a jsonb is at least a sixteenth of its
size, so the text of a large one is not even built. A small one may be long as text, or too long
for PostgreSQL; that must not be an error.
A transaction announces at most an eighth of the queue, counted in pgwatch.announced, and after that
only rings: the usage of the queue does not include uncommitted notifications, and a commit that
finds no room in the queue fails.
Parameters: the notification. Returns: nothing. Tables written: none.
*/
declare
  envelope_head constant text := format('{"notification_log_id": %s, "timestamp": %s, ',
    notification_id, extract(epoch from created_at));
  data_text text;
  envelope_text text;
  /* In bytes. Before PostgreSQL 17, the queue always has 1048576 pages. */
  queue_size constant bigint :=
    8192 * coalesce(current_setting('max_notify_queue_pages', true)::bigint, 1048576);
  announced_text constant text := current_setting('pgwatch.announced', true);
  announced constant bigint :=
    case when announced_text ~ '^[0-9]{1,15}$' then announced_text::bigint else 0 end;
begin
  if announced >= queue_size / 8 then
    perform :"schema".doorbell_ring(channel_name);
    return;
  elsif pg_notification_queue_usage() >= 0.5 then
    return;
  end if;
  if pg_column_size(payload_data) > 4000 or pg_column_compression(payload_data) is not null then
    data_text := case when pg_column_size(payload_data) < 128000
      then nullif(:"schema".content_text(payload_data, 8000), '') end;
  else
    data_text := payload_data::text;
  end if;
  envelope_text := envelope_head || '"data": ' || data_text || '}';
  if envelope_text is null or octet_length(envelope_text) >= 8000 then
    envelope_text := envelope_head || '"large_payload": true}';
  end if;
  perform pg_notify(channel_name, envelope_text);
  /* Who sleeps on a pattern does not listen on the channels that it stands for. */
  if not :"schema".doorbell_is_free('*') then
    perform pg_notify(:'schema', channel_name);
  end if;
  /* An entry takes up to twice its size, since it cannot span two pages. */
  perform set_config('pgwatch.announced',
    (announced
      + least(8192, 2 * (octet_length(envelope_text) + octet_length(channel_name) + 20)))::text,
    true);
end;
$$;
revoke all on function :"schema".notification_announce(text, bigint, timestamptz, jsonb)
  from public;

/*
A digest of an event, to distinguish the same event from another one with the same id. It combines
hashes of the parts: together they could exceed the size limit of jsonb if one is close to it, and
the text of the content may be longer than PostgreSQL supports. Inlined.
*/
create function :"schema".event_digest(channel_name text, key text, content jsonb)
returns uuid
language sql
stable
return md5(jsonb_build_array(channel_name, md5(key),
  md5(coalesce(nullif(:"schema".content_text(content, 1073741824), ''),
    jsonb_hash_extended(content, 0)::text))
)::text)::uuid;
revoke all on function :"schema".event_digest(text, text, jsonb) from public;

create function :"schema".event_refuse(event_id uuid)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
/* Raises PW002: the event was published with different content. */
begin
  raise exception 'Event % has already been published with a different channel, key or payload.',
    event_id
  using errcode = 'PW002', hint = 'An event id identifies one event: use a new id for a new event.';
end;
$$;
revoke all on function :"schema".event_refuse(uuid) from public;

create function :"api_schema".smart_notify(
  channel_name text,
  payload_data jsonb default '{}',
  key text default null,
  event_id uuid default null)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Publishes a notification: appends it to the log in the caller's transaction, and rings.

Parameters: the channel (1 to 63 bytes); the payload; the key (notifications of one key keep their
order); an event id chosen by the publisher, which makes publishing idempotent: if an open
transaction has published the same event, this call waits for it. Publishers of several events must
use the same order, or smart_notify_many(); otherwise two of them may deadlock (40P01).
Returns: the notification's id; if the event id has already been published, the id it has.
Raises: PW001 for a bad channel, PW002 for an event id that was published with different content.
Setting pgwatch.notify: always (default here), doorbell or off.
Tables written: notification_log, published.
*/
declare
  /* First, because a notification must not have an id before its transaction has an xid. */
  writer_xid constant xid8 := pg_current_xact_id();
  content jsonb := coalesce(payload_data, 'null');
  content_digest uuid;
  known_digest uuid;
  known_id bigint;
  notification_id bigint;
  notification_time timestamptz;
begin
  if channel_name is null or octet_length(channel_name) not between 1 and 63 then
    perform :"schema".channel_check(channel_name);
  end if;

  if smart_notify.event_id is not null then
    content_digest := :"schema".event_digest(channel_name, smart_notify.key, content);
    notification_id :=
      nextval(pg_get_serial_sequence(format('%I.notification_log', :'schema'), 'id'));
    loop
      insert into :"schema".published as known (event_id, notification_id, digest)
      values (smart_notify.event_id, notification_id, content_digest)
      on conflict do nothing;
      exit when found;
      select known.notification_id, known.digest into known_id, known_digest
      from :"schema".published as known
      where known.event_id = smart_notify.event_id;
      /* If not found, cleanup has deleted it between the two statements. */
      if found then
        if known_digest <> content_digest then
          perform :"schema".event_refuse(smart_notify.event_id);
        end if;
        return known_id;
      end if;
    end loop;
    insert into :"schema".notification_log (id, xid, channel, key, payload, event_id)
    overriding system value
    values (
      notification_id, writer_xid, channel_name, smart_notify.key, content, smart_notify.event_id)
    returning created_at into notification_time;
  else
    insert into :"schema".notification_log (xid, channel, key, payload)
    values (writer_xid, channel_name, smart_notify.key, content)
    returning id, created_at into notification_id, notification_time;
  end if;

  case lower(current_setting('pgwatch.notify', true))
    when 'off' then null;
    when 'doorbell' then perform :"schema".doorbell_ring(channel_name);
    else perform :"schema".notification_announce(
      channel_name, notification_id, notification_time, content);
  end case;
  return notification_id;
end;
$$;
revoke all on function :"api_schema".smart_notify(text, jsonb, text, uuid) from public;

create function :"api_schema".smart_notify_many(
  channel_names text[], payloads jsonb[], keys text[], event_ids uuid[])
returns bigint[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
/*
Publishes notifications in the order given, each like smart_notify(). Event ids are inserted in a
fixed order, so two publishers of the same events never deadlock, whatever order they use.

Parameters: the channels, payloads, keys and event ids, one of each for each notification; null:
none.
Returns: their ids, in the same order.
Raises: like smart_notify(); PW004 if the numbers of elements differ.
Setting pgwatch.notify: always (default here), doorbell or off.
Tables written: notification_log, published.
*/
declare
  writer_xid constant xid8 := pg_current_xact_id();
  sequence_name constant regclass :=
    pg_get_serial_sequence(format('%I.notification_log', :'schema'), 'id');
  total constant integer := coalesce(cardinality(channel_names), 0);
  new_ids bigint[];
  known_ids bigint[];
  refused uuid;
  is_forgotten boolean;
  announced bigint;
begin
  if not coalesce(total = cardinality(payloads) and total = cardinality(keys)
    and total = cardinality(event_ids), total = 0) then
    raise exception 'There must be as many payloads, keys and event ids as channels.'
    using errcode = 'PW004';
  end if;
  perform :"schema".channel_check(name) from unnest(channel_names) as name
  where name is null or octet_length(name) not between 1 and 63;

  new_ids := array(select nextval(sequence_name) from generate_series(1, total));
  loop
    /* Sorted, so concurrent publishers lock the events in the same order. If an event is given
       twice, the first one counts. */
    insert into :"schema".published (event_id, notification_id, digest)
    select distinct on (n.event_id) n.event_id, n.id,
      :"schema".event_digest(n.channel, n.key, coalesce(n.content, 'null'))
    from unnest(new_ids, channel_names, payloads, keys, event_ids) with ordinality
      as n (id, channel, content, key, event_id, place)
    where n.event_id is not null
    order by n.event_id, n.place
    on conflict do nothing;

    select array_agg(coalesce(known.notification_id, n.id) order by n.place),
      (array_agg(n.event_id order by n.place) filter (where known.digest
        <> :"schema".event_digest(n.channel, n.key, coalesce(n.content, 'null'))))[1],
      coalesce(bool_or(n.event_id is not null and known.event_id is null), false)
    into known_ids, refused, is_forgotten
    from unnest(new_ids, channel_names, payloads, keys, event_ids) with ordinality
      as n (id, channel, content, key, event_id, place)
    left join :"schema".published as known on known.event_id = n.event_id;
    /* Cleanup may have deleted one between the two statements. */
    exit when not is_forgotten;
  end loop;
  if refused is not null then
    perform :"schema".event_refuse(refused);
  end if;

  with inserted as (
    insert into :"schema".notification_log (id, xid, channel, key, payload, event_id)
    overriding system value
    select n.id, writer_xid, n.channel, n.key, coalesce(n.content, 'null'), n.event_id
    from unnest(new_ids, known_ids, channel_names, payloads, keys, event_ids) with ordinality
      as n (id, known_id, channel, content, key, event_id, place)
    where n.id = n.known_id
    order by n.place
    returning id, channel, created_at, payload
  )
  select count(case lower(current_setting('pgwatch.notify', true))
    when 'off' then null
    when 'doorbell' then :"schema".doorbell_ring(channel)
    else :"schema".notification_announce(channel, id, created_at, payload)
  end)
  into announced
  from (select * from inserted order by id) as one;
  return coalesce(known_ids, '{}');
end;
$$;
revoke all on function :"api_schema".smart_notify_many(text[], jsonb[], text[], uuid[]) from public;
