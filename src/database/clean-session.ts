import type { ClientBase } from 'pg';

/*
What a handler leaves on a session would reach the next call that borrows it: settings, a role, LISTEN, advisory
locks, cursors, temporary tables, prepared statements, an open transaction. As DISCARD ALL, but inside a
transaction too, and without what costs: plans, protocol-level statements and cached sequence values stay.
*/

type Cleaning = {
  mayHavePrepared: boolean;
  /** Statements that go with it. */
  before?: string;
  after?: string;
};

/** Cleans a session in one round trip, within a transaction or outside of one. */
export async function cleanSession(client: ClientBase, options: Cleaning): Promise<void> {
  const { mayHavePrepared, before, after } = options;
  const statements = [before, CLEAN, mayHavePrepared ? DEALLOCATE : undefined, after];
  await client.query(statements.filter((text) => text !== undefined).join('; '));
  if (mayHavePrepared) forgetPrepared(client);
}

/**
 * Whether a text may prepare a statement in SQL, whose name calls could meet again, or take one of
 * pg's away.
 */
export function mayPrepare(text: string): boolean {
  return /\b(prepare|deallocate|discard)\b/i.test(text);
}

/**
 * Whether a text may change its session. It knows nothing of what functions do: for poolers only,
 * where cleaning takes a transaction of its own.
 */
export function mayChangeSession(text: string): boolean {
  const bare = text.replace(COMMENTS, ' ');
  return CHANGES.test(bare) || FUNCTIONS.test(bare);
}

/** Whether the session is in a transaction. */
export function isInTransaction(client: ClientBase): boolean {
  return client.getTransactionStatus() !== 'I';
}

/** Some of them may be gone: pg would go on using their names. */
function forgetPrepared(client: ClientBase): void {
  const { connection } = client as unknown as { connection?: { parsedStatements?: object } };
  if (connection) connection.parsedStatements = {};
}

/** Those of SQL, and those that pg knows: not those that a pooler has prepared. */
const DEALLOCATE = `do $$ declare found text; begin
  for found in select name from pg_catalog.pg_prepared_statements where from_sql or starts_with(name, 'pgwatch_') loop
    execute pg_catalog.format('deallocate %I', found);
  end loop;
end $$`;
const CLEAN = `reset session authorization; reset role; reset all; unlisten *; close all; discard temp;
select pg_catalog.pg_advisory_unlock_all()`;
const COMMENTS = /--.*|\/\*[\s\S]*?\*\//g;
const CHANGES =
  /(^|;)\s*(set|reset|listen|unlisten|prepare|declare|load|do|call)\b|\btemp(orary)?\b/i;
const FUNCTIONS = /\bset_config\b|\bpg_(try_)?advisory_lock/i;
