import { textOf } from '../errors.ts';
import type { Queryable } from './connect.ts';

/** What runs beside everybody's DDL in this database. */
export type EventTrigger = {
  name: string;
  /** With its schema. */
  function: string;
  /** As it stands in the context of an error, where the schema may be missing. */
  signature: string;
};

/**
 * The event triggers that are switched on; none where they cannot be read, as in a transaction that
 * has failed.
 */
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
 * Those that a refusal came from: the server tells in which functions it was. They run with the
 * search_path of our DDL, so that names without their schema are not found.
 */
export function raisedIn(triggers: readonly EventTrigger[], thrown: unknown): EventTrigger[] {
  const context = textOf(() => (thrown as { where?: unknown } | null)?.where);
  return triggers.filter(({ signature }) => context.includes(`${signature} line `));
}

/** ' Event trigger note_ddl raised it: …', with what to do; '' where none did. */
export async function eventTriggerText(client: Queryable, thrown: unknown): Promise<string> {
  const [trigger] = raisedIn(await readEventTriggers(client), thrown);
  if (!trigger) return '';
  const { name } = trigger;
  return ` Event trigger ${name} of this database raised it, in its function ${trigger.function}: disable it meanwhile (alter event trigger ${name} disable), or have that function let pgwatch's commands pass; its names need their schemas, because search_path is pg_catalog there.`;
}
