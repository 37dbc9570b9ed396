import { qualified } from '../../database/names.ts';
import { COLUMNS } from '../page-sql.ts';

/**
 * The copy of its notification that a delivery holds, as a row of the log; no row if it holds none.
 */
export function copySql(schema: string, delivery: string): string {
  const columns = COLUMNS.map((column) => `${OWN.has(column) ? delivery : 'copied'}.${column}`);
  return `select ${columns.join(', ')}
    from jsonb_populate_record(
      null::${qualified(schema, 'notification_log')}, ${delivery}.notification) as copied
    where ${delivery}.notification is not null`;
}

/** The columns that a delivery stores separately. */
const OWN: ReadonlySet<string> = new Set(['key', 'payload', 'old_row', 'new_row']);
