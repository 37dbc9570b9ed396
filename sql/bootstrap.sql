-- Payloads are JSON, and other encodings cannot store all of its characters.
do $$
begin
  if getdatabaseencoding() <> 'UTF8' then
    raise exception 'Database "%" has the encoding %, but pgwatch needs UTF8.',
      current_database(), getdatabaseencoding()
    using errcode = 'PW005',
      hint = 'Create a database with encoding UTF8 and template template0, and move the data '
        'there.';
  end if;
end;
$$;

create schema if not exists :"schema";

-- One row for each applied migration. hash is the SHA-256 of its file.
create table if not exists :"schema".migration (
  number integer primary key,
  name text not null,
  hash text not null,
  applied_at timestamptz not null default now()
);

-- Fails if the schema of the functions is missing, before anything is created.
select format('%I', :'api_schema')::regnamespace as api_schema;
