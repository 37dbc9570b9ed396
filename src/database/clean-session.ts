import type { ClientBase } from 'pg';

/*
What a handler leaves on a session would reach the next call that borrows it: settings, a role, LISTEN, advisory
locks, cursors, temporary tables, prepared statements, an open transaction. As DISCARD ALL, but inside a
transaction too, and without what costs: plans, protocol-level statements and cached sequence values stay.
*/

/** Statements that clean a session, in one round trip, within a transaction or outside of one. */
export function cleanSql({ mayHavePrepared }: { mayHavePrepared: boolean }): string {
  const clean = `reset session authorization; reset role; reset all; unlisten *; close all; discard temp;
select pg_catalog.pg_advisory_unlock_all()`;
  return mayHavePrepared ? `${clean}; ${DEALLOCATE}` : clean;
}

/** Whether a text may prepare a statement in SQL: those have names that calls could meet again. */
export function mayPrepare(text: string): boolean {
  return /\bprepare\b/i.test(text);
}

/**
 * Whether a text may change its session. It knows nothing of what functions do: for poolers only, where cleaning
 * takes a transaction of its own.
 */
export function mayChangeSession(text: string): boolean {
  const bare = text.replace(COMMENTS, ' ');
  return CHANGES.test(bare) || FUNCTIONS.test(bare);
}

/** Whether the session is in a transaction. */
export function isInTransaction(client: ClientBase): boolean {
  return client.getTransactionStatus() !== 'I';
}

/** Only those of SQL: pg keeps account of its own. */
const DEALLOCATE = `do $$ declare found text; begin
  for found in select name from pg_catalog.pg_prepared_statements where from_sql loop
    execute pg_catalog.format('deallocate %I', found);
  end loop;
end $$`;
const COMMENTS = /--.*|\/\*[\s\S]*?\*\//g;
const CHANGES =
  /(^|;)\s*(set|reset|listen|unlisten|prepare|declare|load|do|call)\b|\btemp(orary)?\b/i;
const FUNCTIONS = /\bset_config\b|\bpg_(try_)?advisory_lock/i;
