import { textOf } from '../errors.ts';
import type { Queryable } from './connect.ts';

/** An event trigger, which runs with all DDL in this database. */
export type EventTrigger = {
  name: string;
  /** Its function, schema-qualified. */
  function: string;
  /** Its function as named in the context of an error, where the schema may be missing. */
  signature: string;
};

/** Reads the enabled event triggers; none if they cannot be read, as in a failed transaction. */
export async function readEventTriggers(client: Queryable): Promise<EventTrigger[]> {
  try {
    const { rows } = await client.query(
      `select quote_ident(evtname) as name, quote_ident(proname) || '()' as signature,
         format('%I.%I()', nspname, proname) as function
       from pg_catalog.pg_event_trigger
       join pg_catalog.pg_proc as p on p.oid = evtfoid
       join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
       where evtenabled <> 'D' and evtevent <> 'login' order by 1`,
    );
    return rows as EventTrigger[];
  } catch {
    return [];
  }
}

/**
 * The triggers that raised an error: the server says in which functions it was raised. They run
 * with the search_path of our DDL, so unqualified names are not found.
 */
export function raisedIn(triggers: readonly EventTrigger[], thrown: unknown): EventTrigger[] {
  const context = textOf(() => (thrown as { where?: unknown } | null)?.where);
  return triggers.filter(({ signature }) => context.includes(`${signature} line `));
}

/** ' Event trigger note_ddl … raised this, …', and what to do; '' if none did. */
export async function eventTriggerText(client: Queryable, thrown: unknown): Promise<string> {
  const [trigger] = raisedIn(await readEventTriggers(client), thrown);
  if (!trigger) return '';
  const { name } = trigger;
  return (
    ` Event trigger ${name} of this database raised this, in its function ${trigger.function}: ` +
    `disable it for now (alter event trigger ${name} disable), or make the function allow ` +
    "pgwatch's commands. Names in it must be schema-qualified, because search_path is pg_catalog " +
    'there.'
  );
}
