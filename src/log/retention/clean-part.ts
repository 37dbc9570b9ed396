import type { ClientBase } from 'pg';
import { withTransaction } from '../../database/transaction.ts';
import { type CleanOptions, withHolders } from './clean.ts';
import { type Counted, countGaps, tellGaps } from './gaps.ts';
import { type Partition, readSpan, type Span } from './partitions.ts';
import { deleteBatch, emptyDefault } from './steps.ts';

/** The outcome for the old notifications of a partition that stays. */
export type Thinned = {
  removed: number;
  /** How many are still needed and were kept. */
  pinned: number;
  /** Null if no lock was in the way. */
  heldBy: string | null;
};

/** Called with the number removed so far and the total. */
export type OnRemoved = (removed: number, total: number) => void;

/**
 * Removes notifications that are old and no longer needed from a partition that stays, in batches:
 * the one that contains the time, and the default one. The default one is emptied at once if few of
 * its notifications are newer.
 */
export async function thinPartition(
  client: ClientBase,
  options: CleanOptions,
  partition: Partition,
  onRemoved: OnRemoved,
): Promise<Thinned> {
  const { schema, before, needed } = options;
  const target = { partition: partition.name, before };
  const span = await readSpan(client, schema, target);
  if (span.lastId === null) return { removed: 0, pinned: 0, heldBy: null };
  const isLarge = partition.ends === null && partition.bytes > DEFAULT_BYTES;
  if (isLarge && (await isEmptied(client, options, span))) {
    return { removed: span.count, pinned: 0, heldBy: null };
  }
  const pass = { client, options, partition, upTo: span.lastId, onRemoved, total: span.count };
  let thinned = await deleteAll({ ...pass, counted: null, removed: 0 });
  if (thinned.pinned > 0 && thinned.heldBy === null && needed === 'remove') {
    // The gaps are recorded before the removal, which runs in batches; rows added since stay.
    const counted = await withTransaction(client, async () => {
      const found = await countGaps(client, schema, target);
      await tellGaps(client, schema, found.gaps);
      return found;
    });
    thinned = await deleteAll({ ...pass, counted, removed: thinned.removed });
  }
  if (isLarge && thinned.heldBy === null && thinned.pinned === 0) {
    await isEmptied(client, options, await readSpan(client, schema, target));
  }
  return thinned;
}

/** Tries to empty it at once; false if that was not possible. */
async function isEmptied(
  client: ClientBase,
  options: CleanOptions,
  { countedIn, lastId, youngId }: Span,
): Promise<boolean> {
  const { schema, before } = options;
  const upTo = youngId === null ? (lastId ?? '0') : String(BigInt(youngId) - 1n);
  const done = await withHolders(client, options, 'notification_log_default', () =>
    emptyDefault(client, schema, { before, upTo, snapshot: countedIn }),
  );
  return 'value' in done && done.value === 'emptied';
}

type Pass = {
  client: ClientBase;
  options: CleanOptions;
  partition: Partition;
  counted: Counted | null;
  upTo: string;
  onRemoved: OnRemoved;
  removed: number;
  total: number;
};

async function deleteAll(pass: Pass): Promise<Thinned> {
  const { client, options, partition, counted, upTo, onRemoved, total } = pass;
  const { schema, before, signal } = options;
  let { removed } = pass;
  let pinned = 0;
  for (let afterId = '0'; !signal.aborted; ) {
    const batch = { partition: partition.name, before, afterId, upTo, counted };
    // The deliveries are locked, so daemons that settle failures are what may be in the way.
    const done = await withHolders(client, options, 'delivery', () =>
      deleteBatch(client, schema, batch),
    );
    if ('heldBy' in done) return { removed, pinned, heldBy: done.heldBy };
    const { lastId } = done.value;
    removed += done.value.removed;
    pinned += done.value.pinned;
    onRemoved(removed, total);
    if (lastId === null) break;
    afterId = lastId;
  }
  return { removed, pinned, heldBy: null };
}

/**
 * The size from which emptying it is worthwhile, in bytes. At twice this size, no more partitions
 * are created.
 */
const DEFAULT_BYTES = 8 * 2 ** 20;
