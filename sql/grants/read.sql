-- May read the log.
grant usage on schema :"schema" to :"role";
grant select on :"schema".notification, :"schema".notification_log, :"schema".origin,
  :"schema".consumer_progress, :"schema".consumer_channel, :"schema".delivery, :"schema".discarded,
  :"schema".daemon, :"schema".live_daemon, :"schema".lease, :"schema".migration to :"role";
grant select on sequence :"schema".notification_log_id_seq to :"role";
grant select (event_id, notification_id) on :"schema".published to :"role";
grant execute on function
  :"schema".content_text(jsonb, bigint),
  :"schema".notification_event_id(bigint, xid8, timestamptz),
  :"schema".change_payload(text, jsonb, jsonb, jsonb, jsonb, xid8),
  :"schema".column_types(oid),
  :"schema".types_within(oid[]),
  :"schema".type_kind(oid, name),
  :"schema".key_writing(oid, integer, oid),
  :"schema".channel_patterns(text[]),
  :"schema".channel_is_read(text, text[], text[]),
  :"schema".log_is_settled(bigint, xid8, :"schema".consumer_progress, bigint),
  :"schema".daemon_class(),
  :"schema".consumer_lag(text[]),
  :"schema".log_origin_state(),
  :"schema".log_place(),
  :"schema".older_version(text, uuid),
  :"schema".log_partitions(),
  :"schema".log_pins(text, bigint),
  :"schema".log_span(text, timestamptz),
  :"schema".log_gaps(text, timestamptz)
to :"role";
