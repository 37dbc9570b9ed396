import type { Change, ConsumerDefinition, Database, Notification } from '../../src/index.ts';

/** A table's primary key, if it has one, and its other columns. */
export type CopiedTable = { key: string | null; others: readonly string[] };

export type Copying = {
  channels: readonly string[];
  tables: Readonly<Record<string, CopiedTable>>;
  transaction: boolean;
  /** Assumes that each change comes once: a change that does not fit is an error. */
  isOnce: boolean;
  /** Tells rows without a key apart by their event, so they can come again. */
  hasEvents: boolean;
  /** Returns true for a notification to skip. */
  ignores?(notification: Notification): boolean;
  /** Called when a batch is written, with the number of rows. */
  onWritten?(rowCount: number): unknown;
};

/**
 * A consumer that rebuilds captured tables: in the schema named like the consumer, as tables of the
 * same names with the additional column event_id.
 */
export function copyingConsumer(id: string, copying: Copying): ConsumerDefinition {
  return {
    id,
    channels: copying.channels,
    transaction: copying.transaction,
    retry: { backoff: () => 50 },
    async handleBatch(notifications, { db }) {
      let rowCount = 0;
      for (const run of runsOf(notifications.filter((each) => !copying.ignores?.(each))))
        rowCount += await apply(db, id, copying, run);
      await copying.onWritten?.(rowCount);
    },
  };
}

/** The SQL that creates the tables for a consumer's copies. */
export function copiesSql(id: string, tables: Copying['tables']): string {
  const copies = Object.entries(tables).map(
    ([name, { key }]) => `create table ${id}.${name} (like ${name} including all, event_id uuid);
      ${key ? '' : `create unique index on ${id}.${name} (event_id);`}`,
  );
  return [`create schema ${id};`, ...copies].join('\n');
}

type Run = { table: string; action: Change['action']; notifications: Notification[] };

/** Returns the number of rows written. */
async function apply(db: Database, schema: string, copying: Copying, run: Run): Promise<number> {
  const { table, action, notifications } = run;
  const { key, others } = copying.tables[table] as CopiedTable;
  const name = `${schema}.${table}`;
  if (action === 'TRUNCATE') {
    await db.query(`truncate ${name}`);
    return 0;
  }
  const columns = [...(key ? [key] : []), ...others].join(', ');
  const rows = notifications.map(({ change, eventId }) => ({
    ...(change as { new: object }).new,
    event_id: copying.hasEvents ? eventId : null,
  }));
  const given = `jsonb_populate_recordset(null::${name}, $1::jsonb) as n`;
  const sets = (from: string) => others.map((each) => `${each} = ${from}.${each}`).join(', ');
  const again = key ? `(${key}) do update set ${sets('excluded')}` : 'do nothing';
  const insert = `insert into ${name} (${columns}, event_id)
    select ${columns}, event_id from ${given}`;
  const update = `update ${name} as c set ${sets('n')} from ${given} where c.${key} = n.${key}`;
  const once = action === 'INSERT' ? insert : update;
  const text = copying.isOnce ? once : `${insert} on conflict ${again}`;
  const { rowCount } = await db.query(text, [JSON.stringify(rows)]);
  if (copying.isOnce && rowCount !== rows.length) throw new Error(`${text}: ${rowCount}`);
  return rowCount ?? 0;
}

/** Groups consecutive inserts, which are written in one statement. */
function runsOf(notifications: Notification[]): Run[] {
  const runs: Run[] = [];
  for (const notification of notifications) {
    const { table, action } = notification.change as Change;
    const before = runs.at(-1);
    if (action === 'INSERT' && before?.action === action && before.table === table)
      before.notifications.push(notification);
    else runs.push({ table, action, notifications: [notification] });
  }
  return runs;
}
