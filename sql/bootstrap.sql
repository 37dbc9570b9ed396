-- Payloads are JSON: other encodings cannot store all of its characters.
do $$
begin
  if getdatabaseencoding() <> 'UTF8' then
    raise exception 'Database "%" has the encoding %, and pgwatch needs UTF8.', current_database(), getdatabaseencoding()
    using errcode = 'PW005', hint = 'Create a database with encoding UTF8 and template template0, and move the data there.';
  end if;
end;
$$;

create schema if not exists :"schema";

-- One row for each migration that ran. hash is the SHA-256 of its file.
create table if not exists :"schema".migration (
  number integer primary key,
  name text not null,
  hash text not null,
  applied_at timestamptz not null default now()
);

-- Fails before anything is created where the functions' schema is missing.
select format('%I', :'api_schema')::regnamespace as api_schema;
