-- May publish.
do $$
begin
  /* Usually PUBLIC has it. A grant of ours would remain in a schema that is not ours. */
  if not has_schema_privilege(:'role', :'api_schema', 'usage') then
    grant usage on schema :"api_schema" to :"role";
  end if;
end;
$$;
grant execute on function
  :"api_schema".smart_notify(text, jsonb, text, uuid),
  :"api_schema".smart_notify_many(text[], jsonb[], text[], uuid[])
to :"role";
