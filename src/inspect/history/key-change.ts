import type { ClientBase } from 'pg';
import { qualified } from '../../database/names.ts';
import { parseJson } from '../../json.ts';
import type { RowImage, RowVersion } from './versions.ts';

/** The notification that is the other half of a key change, and the key in it. */
export type OtherHalf = { notificationId: number; key: RowImage };

/**
 * Finds the other half of a key change, which is recorded as a DELETE under the old key and an
 * INSERT under the new one. Both are of the same transaction, and the same except for the key.
 * Null if there is no other half, or if several notifications might be it.
 */
export async function readOtherHalf(
  client: ClientBase,
  schema: string,
  { source, action }: RowVersion,
): Promise<OtherHalf | null> {
  const [id, xid, , , , , , relation, oldRow, newRow] = source;
  if (action !== 'INSERT' && action !== 'DELETE') return null;
  const { rows } = await client.query<{ id: string; key: string }>(
    `select id::text as id, (
       select jsonb_object_agg(name, coalesce(new_row, old_row) -> name)
       from unnest(key.columns) as name
     )::text as key
     from ${qualified(schema, 'notification_log')},
       (select array(select jsonb_array_elements_text($3::jsonb - 0 - 0)) as columns) as key
     where xid = $1::xid8 and relation = $3::jsonb and action = $4
       and (id > $2::bigint) = ($4 = 'INSERT')
       and coalesce(new_row, old_row) - key.columns = $5::jsonb - key.columns
     limit 2`,
    [xid, id, relation, action === 'INSERT' ? 'DELETE' : 'INSERT', newRow ?? oldRow],
  );
  const [found] = rows;
  if (!found || rows.length > 1) return null;
  return { notificationId: Number(found.id), key: parseJson(found.key) as RowImage };
}
