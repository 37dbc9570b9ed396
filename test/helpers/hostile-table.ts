import { Client } from 'pg';
import { withConnection } from '../../src/database/connect.ts';
import type { TestDatabase } from './database.ts';
import { createRole } from './role.ts';

/** A role that tries to act as another role, in the schema lair. */
export type Attacker = {
  name: string;
  /** The test database as this role, with lair first on the search path. */
  url: string;
  /** An administrator with the same search path. */
  admin: Client;
  /** The attacker's functions that ran as another role: 'cast to json as postgres'. */
  caught(): Promise<string[]>;
};

/**
 * Runs the work with an attacker. The attacker's functions call lair.caught(TEXT) to record the
 * role they run as.
 */
export async function withAttacker(
  database: TestDatabase,
  work: (attacker: Attacker) => Promise<void>,
): Promise<void> {
  const { name, url } = await createRole(database, 'attacker');
  const options = `options=${encodeURIComponent('-c search_path=lair,public')}`;
  const admin = new Client(`${database.url}?${options}`);
  await admin.connect();
  try {
    await admin.query(caughtSql(name));
    await work({ name, url: `${url}?${options}`, admin, caught: () => readCaught(admin) });
  } finally {
    await admin.end();
    await withConnection({ url: database.url }, (client) =>
      client.query('drop schema if exists lair cascade'),
    );
  }
}

/** A cast of a type to json that records who runs it. */
export function castSql(type: string): string {
  return `create function spring(${type}) returns json language plpgsql
      as $$ begin perform lair.caught('cast to json'); return '1'; end $$;
    create cast (${type} as json) with function spring(${type})`;
}

// A sequence counts even what is rolled back.
const caughtSql = (name: string) => `
  create schema lair; grant all on schema lair to "${name}";
  create sequence lair.calls; create table lair.calls_seen (call text, who text);
  create function lair.caught(call text) returns void language plpgsql as $$
    begin
      if current_user <> '${name}' then
        perform nextval('lair.calls');
        insert into lair.calls_seen values (call, current_user);
      end if;
    end $$;
  grant all on all tables in schema lair to public; grant all on lair.calls to public`;

async function readCaught(admin: Client): Promise<string[]> {
  const { rows } = await admin.query(
    `select distinct call || ' as ' || who as text from lair.calls_seen
     union all select 'rolled back' from lair.calls
       where is_called and not exists (select from lair.calls_seen)
     order by 1`,
  );
  return rows.map(({ text }) => text);
}
