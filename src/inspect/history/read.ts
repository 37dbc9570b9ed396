import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { AS_TEXT } from '../../database/types.ts';
import { SHOWN_TEXT_BYTES_MAX } from '../../log/content-sql.ts';
import type { LogRow } from '../../log/notification.ts';
import { COLUMNS, MICROSECONDS, rowTexts } from '../../log/page-sql.ts';
import type { Subject } from './subject.ts';

/** When notifications were created; null: no bound. */
export type Period = { since: Date | null; until: Date | null };

/**
 * Reads all changes of a row, and truncations of its table, in the order of the changes. No index
 * helps: it reads the log once, from `since` on, through a cursor.
 */
export async function* readRowChanges(
  client: ClientBase,
  schema: string,
  subject: Subject,
  { since, until }: Period,
): AsyncGenerator<LogRow> {
  const batches = openBatches(client, historySql(schema), [
    subject.name,
    subject.schema,
    since,
    until,
    `[${subject.keyValues.map((values) => `[${values.join(',')}]`).join(',')}]`,
    subject.keyColumns,
  ]);
  for await (const rows of batches) yield* rows;
}

/** When the log begins to cover a table; null if it does not. */
export async function readCoverage(
  client: ClientBase,
  schema: string,
  subject: Subject,
): Promise<Date | null> {
  const { rows } = await client.query<{ since: Date }>(
    `select created_at as since from ${qualified(schema, 'notification_log')}
     where ${OF_TABLE} order by id limit 1`,
    [subject.name, subject.schema],
  );
  return rows[0]?.since ?? null;
}

/** The oldest notification in the log; null if the log is empty. */
export async function readFirst(
  client: ClientBase,
  schema: string,
): Promise<{ id: number; createdAt: Date } | null> {
  const { rows } = await client.query<{ id: number; createdAt: Date }>(
    `select to_jsonb(id) as id, created_at as "createdAt"
     from ${qualified(schema, 'notification_log')} order by id limit 1`,
  );
  return rows[0] ?? null;
}

/** Yields batches of a cursor, which is closed when the reader stops. */
async function* openBatches(
  client: ClientBase,
  text: string,
  values: unknown[],
): AsyncGenerator<LogRow[]> {
  const isPart = client.getTransactionStatus() === 'T';
  if (!isPart) await client.query('begin read only');
  try {
    await client.query(`declare history no scroll cursor for ${text}`, values);
    for (;;) {
      const { rows } = await client.query<LogRow>({
        text: `fetch ${BATCH_ROWS} from history`,
        rowMode: 'array',
        types: AS_TEXT,
      });
      yield rows;
      if (rows.length < BATCH_ROWS) return;
    }
  } finally {
    // If the connection is gone, there is nothing to close.
    await client.query(isPart ? 'close history' : 'rollback').catch(() => {});
  }
}

/** Parameters: 1 the name, 2 the schema, or null for any. */
const OF_TABLE =
  '(relation ->> 1) = $1::text and ($2::text is null or (relation ->> 0) = $2::text)';

/**
 * Parameters: 1 and 2 as above; 3 and 4 from when to when (in milliseconds, as people see them); 5
 * an array of the possible values for each part of the key; 6 the columns of these parts, or null
 * if they are in the order of the primary key.
 */
function historySql(schema: string): string {
  const columns = rowTexts(schema, 'log', SHOWN_TEXT_BYTES_MAX).map((text, index) =>
    COLUMNS[index] === 'created_at' ? MICROSECONDS(text) : text,
  );
  return `
select ${columns.join(', ')} from ${qualified(schema, 'notification_log')} as log
where ${OF_TABLE}
  and ($3::timestamptz is null or created_at >= $3::timestamptz)
  and ($4::timestamptz is null or created_at < $4::timestamptz + interval '1 ms')
  and (action = 'TRUNCATE' or (
    jsonb_array_length(relation) = 2 + jsonb_array_length($5::jsonb)
    and not exists (
      select from jsonb_array_elements_text(relation) with ordinality as part (name, number)
      where number > 2 and coalesce(
        $5::jsonb -> coalesce(array_position($6::text[], name) - 1, (number - 3)::integer)
          @> jsonb_build_array(coalesce(new_row, old_row) -> name), false) is not true
        or number > 2 and $6::text[] is not null and array_position($6::text[], name) is null)))
order by id`;
}

const BATCH_ROWS = 500;
