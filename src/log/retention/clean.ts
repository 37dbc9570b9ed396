import type { ClientBase } from 'pg';
import { raisedIn, readEventTriggers } from '../../database/event-triggers.ts';
import { readHolders } from '../../database/holders.ts';
import { qualified } from '../../database/names.ts';
import { patiently } from '../../database/patience.ts';
import { SQLSTATE } from '../../database/sqlstate.ts';
import { errorCodeOf, toError } from '../../errors.ts';
import { countGaps, keepDeliveries } from './gaps.ts';
import type { Partition } from './partitions.ts';
import { dropPartition, type EmptyOutcome, emptyPartition } from './steps.ts';

export type CleanOptions = {
  schema: string;
  /** Notifications older than this are removed. */
  before: Date;
  /** Keep what consumers still need, or remove it too and leave markers for them. */
  needed: 'keep' | 'remove';
  /** How long to keep trying, in milliseconds, while other sessions hold a lock. */
  patienceMs: number;
  signal: AbortSignal;
};

export type DropOptions = CleanOptions & {
  /** How long to keep trying to drop it; may be shorter than patienceMs. */
  dropPatienceMs: number;
};

/** The outcome for a partition. */
export type Removal =
  /** It is gone. */
  | { type: 'dropped'; wasEmpty: boolean }
  /** Another session has removed it. */
  | { type: 'gone' }
  /** It is empty, and stays until it can be dropped. */
  | { type: 'emptied'; wasEmpty: boolean; heldBy: string }
  /** Consumers need some of it, and all of it is kept. */
  | { type: 'pinned' }
  /** Another session holds a lock on it, and all of it is kept. */
  | { type: 'locked'; heldBy: string };

/**
 * Removes a partition whose time is over. It is emptied first, which needs only its own lock and
 * makes only readers wait; then it is dropped, which needs a lock on the whole log.
 */
export async function removePartition(
  client: ClientBase,
  options: DropOptions,
  { name }: Partition,
): Promise<Removal> {
  const { schema, before } = options;
  const target = { partition: name, before };
  const emptied = await withHolders(client, options, name, () =>
    emptyOnce(client, options, target),
  );
  if ('heldBy' in emptied) return { type: 'locked', ...emptied };
  if (emptied.value === 'pinned') return { type: 'pinned' };
  const wasEmpty = emptied.value !== 'emptied';
  if (emptied.value === 'gone') return { type: 'gone' };
  const dropping = { ...options, patienceMs: options.dropPatienceMs };
  const dropped = await withHolders(client, dropping, 'notification_log', () =>
    dropPartition(client, schema, target),
  ).catch((thrown: unknown) => refusedBy(client, thrown));
  if ('heldBy' in dropped) return { type: 'emptied', wasEmpty, ...dropped };
  if (dropped.value !== 'filled') return { type: 'dropped', wasEmpty };
  return { type: 'emptied', wasEmpty, heldBy: 'a session that has just written to it' };
}

/** An event trigger may keep it from being dropped: it stays, empty, and the cleanup continues. */
async function refusedBy(client: ClientBase, thrown: unknown): Promise<{ heldBy: string }> {
  const [trigger] = raisedIn(await readEventTriggers(client), thrown);
  if (!trigger) throw thrown;
  return { heldBy: `event trigger ${trigger.name} says: ${toError(thrown).message}` };
}

async function emptyOnce(
  client: ClientBase,
  { schema, needed }: CleanOptions,
  target: { partition: string; before: Date },
): Promise<Exclude<EmptyOutcome, 'changed'>> {
  const outcome = await emptyPartition(client, schema, { ...target, counted: null });
  if (outcome === 'changed' || (outcome === 'pinned' && needed === 'remove')) {
    return forceEmpty(client, schema, target);
  }
  return outcome;
}

/**
 * Empties a partition, and counts again if rows were added after the count: writes to an old
 * partition are rare.
 */
async function forceEmpty(
  client: ClientBase,
  schema: string,
  target: { partition: string; before: Date },
): Promise<Exclude<EmptyOutcome, 'changed'>> {
  for (let attempt = 1; attempt <= COUNTS_MAX; attempt++) {
    // Do most of the copying before other sessions have to wait.
    while ((await keepDeliveries(client, schema, target.partition)) > 0);
    const counted = await countGaps(client, schema, target);
    const outcome = await emptyPartition(client, schema, { ...target, counted });
    if (outcome !== 'changed') return outcome;
  }
  return 'pinned';
}

/** Tries a step patiently; returns who holds the table if its lock is not available. */
export async function withHolders<T>(
  client: ClientBase,
  { schema, patienceMs, signal }: CleanOptions,
  table: string,
  step: () => Promise<T>,
): Promise<{ value: T } | { heldBy: string }> {
  let heldBy = '';
  const onRefused = async () => {
    const { rows } = await client.query<{ oid: number | null }>(
      'select to_regclass($1)::oid::int8::float8 as oid',
      [qualified(schema, table)],
    );
    heldBy = await readHolders(client, rows[0]?.oid ? [rows[0].oid] : [], { isExclusive: true });
  };
  try {
    return { value: await patiently(step, onRefused, { patienceMs, signal }) };
  } catch (thrown) {
    if (errorCodeOf(thrown) !== SQLSTATE.lockNotAvailable) throw thrown;
    const { detail } = thrown as { detail?: string };
    return { heldBy: detail ?? heldBy };
  }
}

const COUNTS_MAX = 5;
