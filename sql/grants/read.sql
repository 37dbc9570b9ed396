-- May read the log.
grant usage on schema :"schema" to :"role";
grant select on :"schema".notification, :"schema".consumer_progress, :"schema".delivery,
  :"schema".daemon, :"schema".live_daemon, :"schema".lease, :"schema".migration to :"role";
grant execute on function
  :"schema".notification_event_id(bigint, xid8, timestamptz),
  :"schema".change_payload(text, jsonb, jsonb, jsonb, jsonb, xid8),
  :"schema".daemon_class(),
  :"schema".log_partitions(),
  :"schema".log_pins(text, bigint),
  :"schema".log_span(text, timestamptz),
  :"schema".log_gaps(text, timestamptz)
to :"role";
