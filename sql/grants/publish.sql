-- May publish.
do $$
begin
  /* Mostly PUBLIC has it; a grant of our own would stay behind in a schema that is not ours. */
  if not has_schema_privilege(:'role', :'api_schema', 'usage') then
    grant usage on schema :"api_schema" to :"role";
  end if;
end;
$$;
grant execute on function
  :"api_schema".smart_notify(text, jsonb, text, uuid),
  :"api_schema".smart_notify_many(text[], jsonb[], text[], uuid[])
to :"role";
