import type { ClientBase } from 'pg';

/*
What a handler leaves on a session would affect the next call that borrows it: settings, a role,
LISTEN, advisory locks, cursors, temporary tables, prepared statements, an open transaction. This
does the same as DISCARD ALL, but also works inside a transaction, and keeps what is expensive to
rebuild: plans, protocol-level statements and cached sequence values.
*/

type Cleaning = {
  mayHavePrepared: boolean;
  /** True for a session that belongs to a program: only the given statements run. */
  isBorrowed: boolean;
  /** Statements to run in the same round trip. */
  before?: string;
  after?: string;
};

/** Cleans a session in one round trip, inside or outside a transaction. */
export async function cleanSession(client: ClientBase, options: Cleaning): Promise<void> {
  const { mayHavePrepared, isBorrowed, before, after } = options;
  const cleaning = isBorrowed ? [] : [CLEAN, ...(mayHavePrepared ? [DEALLOCATE] : [])];
  const statements = [before, ...cleaning, after].filter((text) => text !== undefined);
  if (statements.length > 0) await client.query(statements.join('; '));
  if (mayHavePrepared && !isBorrowed) forgetPrepared(client);
}

/**
 * Whether a text may prepare a statement in SQL, whose name later calls could clash with, or
 * deallocate one of pg's.
 */
export function mayPrepare(text: string): boolean {
  return /\b(prepare|deallocate|discard)\b/i.test(text);
}

/**
 * Whether a text may change its session. It does not know what functions do. Used only with
 * poolers, where cleaning takes a separate transaction.
 */
export function mayChangeSession(text: string): boolean {
  const bare = text.replace(COMMENTS, ' ');
  return CHANGES.test(bare) || FUNCTIONS.test(bare);
}

/** Whether the session is in a transaction. */
export function isInTransaction(client: ClientBase): boolean {
  return client.getTransactionStatus() !== 'I';
}

/** Some prepared statements may be gone, but pg would go on using their names. */
function forgetPrepared(client: ClientBase): void {
  const { connection } = client as unknown as { connection?: { parsedStatements?: object } };
  if (connection) connection.parsedStatements = {};
}

/**
 * Deallocates statements prepared in SQL, and those of pg, but not those that a pooler prepared.
 */
const DEALLOCATE = `do $$ declare found text; begin
  for found in
    select name from pg_catalog.pg_prepared_statements
    where from_sql or starts_with(name, 'pgwatch_')
  loop
    execute pg_catalog.format('deallocate %I', found);
  end loop;
end $$`;
const CLEAN = `reset session authorization; reset role; reset all; unlisten *; close all;
discard temp; select pg_catalog.pg_advisory_unlock_all()`;
const COMMENTS = /--.*|\/\*[\s\S]*?\*\//g;
const CHANGES =
  /(^|;)\s*(set|reset|listen|unlisten|prepare|declare|load|do|call)\b|\btemp(orary)?\b/i;
const FUNCTIONS = /\bset_config\b|\bpg_(try_)?advisory_lock/i;
