-- May run consumers.
grant usage on schema :"schema" to :"role";
grant select on :"schema".notification_log, :"schema".origin, :"schema".migration to :"role";
grant select, insert on :"schema".consumer_progress to :"role";
grant select, insert, delete
  on :"schema".delivery, :"schema".discarded, :"schema".daemon, :"schema".lease to :"role";
-- All columns except those that identify a row: a role that may not delete a consumer may not
-- rename it either.
grant update (channels, done_id, done_snapshot, done_xid, window_snapshot, window_end, window_id,
    window_xid, epoch, owner, owned_since, is_shared, is_ordered, began_id, began_snapshot,
    began_at, began_from, moved_at, paused_at, paused_until, saved_at)
  on :"schema".consumer_progress to :"role";
grant update (state, attempts, next_attempt_at, called_attempt, is_suspect, is_grouped, replayed_at,
    first_failed_at, last_failed_at, first_error, last_error, notification, payload, old_row,
    new_row)
  on :"schema".delivery to :"role";
grant update (discarded_at) on :"schema".discarded to :"role";
grant update (has_lock, consumer_ids, shared_ids, channels, alive_until, activity)
  on :"schema".daemon to :"role";
grant update (notification_ids, kind, owner, epoch) on :"schema".lease to :"role";
grant select on :"schema".notification, :"schema".live_daemon, :"schema".consumer_channel
  to :"role";
grant select (event_id, notification_id) on :"schema".published to :"role";
grant select on sequence :"schema".notification_log_id_seq, :"schema".lease_lease_id_seq
  to :"role";
grant execute on function
  :"schema".log_partition_create(text, integer),
  :"schema".content_text(jsonb, bigint),
  :"schema".notification_event_id(bigint, xid8, timestamptz),
  :"schema".change_payload(text, jsonb, jsonb, jsonb, jsonb, xid8),
  :"schema".column_types(oid),
  :"schema".types_within(oid[]),
  :"schema".type_kind(oid, name),
  :"schema".key_writing(oid, integer, oid),
  :"schema".doorbell_class(),
  :"schema".channel_patterns(text[]),
  :"schema".channel_is_read(text, text[], text[]),
  :"schema".log_is_settled(bigint, xid8, :"schema".consumer_progress, bigint),
  :"schema".daemon_class(),
  :"schema".delivery_notification(:"schema".notification_log),
  :"schema".consumer_lag(text[]),
  :"schema".log_origin_state(),
  :"schema".log_place(),
  :"schema".older_version(text, uuid),
  :"schema".cleanup_key(),
  :"schema".log_partitions(),
  :"schema".log_pins(text, bigint),
  :"schema".log_span(text, timestamptz),
  :"schema".log_gaps(text, timestamptz),
  :"schema".log_empty(text, timestamptz),
  :"schema".log_drop(text, timestamptz),
  :"schema".log_delete(text, timestamptz, bigint, bigint, integer),
  :"schema".log_default_empty(timestamptz, bigint, pg_snapshot),
  :"schema".published_delete(timestamptz, uuid, integer)
to :"role";
