-- May create capture triggers.
do $$
begin
  /* Usually PUBLIC has it. A grant of ours would remain in a schema that is not ours. */
  if not has_schema_privilege(:'role', :'api_schema', 'usage') then
    grant usage on schema :"api_schema" to :"role";
  end if;
end;
$$;
grant execute on function :"api_schema".notify_data_change() to :"role";
