-- May publish.
grant usage on schema :"api_schema" to :"role";
grant execute on function :"api_schema".smart_notify(text, jsonb, text, uuid) to :"role";
