import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import type { Counted } from './gaps.ts';

/*
The steps of cleanup. Each is a call of one function, and so one transaction. Each may be refused a
lock (55P03), and has to be retried then.
*/

/** Takes the cleanup lock for this session. False if another session has it. */
export async function lockCleanup(client: Queryable, schema: string): Promise<boolean> {
  const { rows } = await client.query(
    `select pg_try_advisory_lock(${qualified(schema, 'cleanup_key')}()) as is_ours`,
  );
  return (rows[0] as { is_ours: boolean }).is_ours;
}

/** False while another session cleans up. */
export async function isCleanupFree(client: Queryable, schema: string): Promise<boolean> {
  // Held until the end of this statement, which is enough to know: each step takes it itself.
  const { rows } = await client.query(
    `select pg_try_advisory_xact_lock(${qualified(schema, 'cleanup_key')}()) as is_free`,
  );
  return (rows[0] as { is_free: boolean }).is_free;
}

/** Whether this role may remove what consumers still need: only the owner may. */
export async function mayForce(client: Queryable, schema: string): Promise<boolean> {
  const { rows } = await client.query(
    `select has_function_privilege(to_regprocedure($1)::oid, 'execute') as may`,
    [`${qualified(schema, 'log_gap_tell')}(jsonb)`],
  );
  return (rows[0] as { may: boolean }).may;
}

/** Empties a partition whose time is over; given a count, even if consumers need it. */
export async function emptyPartition(
  client: Queryable,
  schema: string,
  { partition, before, counted }: { partition: string; before: Date; counted: Counted | null },
): Promise<EmptyOutcome> {
  const empty = qualified(schema, 'log_empty');
  if (!counted) {
    const text = `select ${empty}($1, $2) as outcome`;
    const outcome = await outcomeOf<EmptyOutcome | 'held'>(client, text, [partition, before]);
    // The first call recorded since when nothing is needed; the second one says who holds it, if
    // any session does.
    return outcome === 'held' ? outcomeOf(client, text, [partition, before]) : outcome;
  }
  const text = `select ${empty}($1, $2, $3::pg_snapshot, $4) as outcome`;
  return outcomeOf(client, text, [
    partition,
    before,
    counted.countedIn,
    JSON.stringify(counted.gaps),
  ]);
}

/** changed: rows were added after the count. */
export type EmptyOutcome = 'emptied' | 'empty' | 'gone' | 'pinned' | 'changed';

/** Drops a partition that was emptied. */
export async function dropPartition(
  client: Queryable,
  schema: string,
  { partition, before }: { partition: string; before: Date },
): Promise<'dropped' | 'gone' | 'filled'> {
  const text = `select ${qualified(schema, 'log_drop')}($1, $2) as outcome`;
  return outcomeOf(client, text, [partition, before]);
}

/** Empties the default partition except for newer notifications, if there are few of them. */
export async function emptyDefault(
  client: Queryable,
  schema: string,
  { before, upTo, snapshot }: { before: Date; upTo: string; snapshot: string },
): Promise<'emptied' | 'pinned' | 'large'> {
  const empty = qualified(schema, 'log_default_empty');
  const text = `select ${empty}($1, $2, $3::pg_snapshot) as outcome`;
  return outcomeOf(client, text, [before, upTo, snapshot]);
}

/** A batch of notifications of a partition that is not removed entirely. */
export type Batch = { lastId: string | null; removed: number; pinned: number };

/** Deletes a batch of what no consumer needs; with a snapshot, of everything visible in it. */
export async function deleteBatch(
  client: Queryable,
  schema: string,
  batch: {
    partition: string;
    before: Date;
    afterId: string;
    upTo: string;
    counted: Counted | null;
  },
): Promise<Batch> {
  const { partition, before, afterId, upTo, counted } = batch;
  const { rows } = await client.query(
    `select last_id::text as "lastId", removed::float8 as removed, pinned::float8 as pinned
     from ${qualified(schema, 'log_delete')}(
       $1, $2, $3, $4${counted ? ', 2000, $5::pg_snapshot' : ''})`,
    [partition, before, afterId, upTo, ...(counted ? [counted.countedIn] : [])],
  );
  return (rows[0] as Batch | undefined) ?? { lastId: null, removed: 0, pinned: 0 };
}

/** Forgets a batch of event ids that publishers gave. */
export async function deletePublished(
  client: Queryable,
  schema: string,
  { before, afterId }: { before: Date; afterId: string | null },
): Promise<{ lastId: string | null; removed: number }> {
  const { rows } = await client.query(
    `select last_id as "lastId", removed::float8 as removed
     from ${qualified(schema, 'published_delete')}($1, $2)`,
    [before, afterId],
  );
  return rows[0] as { lastId: string | null; removed: number };
}

/** Forgets discarded dead letters from before the time that are no longer in the log. */
export async function deleteDiscarded(
  client: Queryable,
  schema: string,
  before: Date,
): Promise<void> {
  await client.query(
    `delete from ${qualified(schema, 'discarded')} where ctid in (
       select known.ctid from ${qualified(schema, 'discarded')} as known
       where known.discarded_at < least($1, now()) and not exists (
         select from ${qualified(schema, 'notification_log')} as log
         where log.id = known.notification_id)
       for update skip locked)`,
    [before],
  );
}

async function outcomeOf<Outcome extends string>(
  client: Queryable,
  text: string,
  values: unknown[],
): Promise<Outcome> {
  const { rows } = await client.query(text, values);
  return (rows[0] as { outcome: Outcome }).outcome;
}
