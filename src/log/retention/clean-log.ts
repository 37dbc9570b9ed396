import type { ClientBase } from 'pg';
import { type CleanOptions, type DropOptions, removePartition } from './clean.ts';
import { type OnRemoved, thinPartition } from './clean-part.ts';
import { type Partition, readPartitions, shareBefore } from './partitions.ts';
import { type Pin, readPins } from './pins.ts';
import { deleteDiscarded, deletePublished } from './steps.ts';

/** The outcome for a partition that contains old notifications. */
export type Cleaned = {
  partition: Partition;
  /**
   * dropped: it is gone. emptied: all rows were removed, and it is to be dropped later. deleted:
   * the old rows were removed, and it stays. pinned: some or all of it is still needed and was
   * kept. locked: another session holds a lock.
   */
  outcome: 'dropped' | 'emptied' | 'deleted' | 'pinned' | 'locked';
  /** How many rows were removed; an estimate if all were, null if there is no estimate. */
  removed: number | null;
  /** The consumers that need what is left. */
  pins: readonly Pin[];
  /** What was in the way, as a text for people. */
  heldBy: string | null;
};

export type LogCleaning = CleanOptions & {
  /** whole: only partitions that are entirely old. */
  scope: 'all' | 'whole';
  /** Called before work on a partition begins. */
  onBegin?: (partition: Partition) => void;
  onRemoved?: OnRemoved;
};

/**
 * Removes notifications older than a time, oldest partition first. Yields the partitions that
 * contained any.
 */
export async function* cleanLog(
  client: ClientBase,
  options: LogCleaning,
): AsyncGenerator<Cleaned, void> {
  const { schema, before, scope, signal, onBegin, onRemoved } = options;
  let dropPatienceMs = options.patienceMs;
  for (const partition of await readPartitions(client, schema)) {
    const share = shareBefore(partition, before);
    if (signal.aborted) return;
    if (share === 'none' || (share === 'part' && scope === 'whole')) continue;
    onBegin?.(partition);
    const cleaned =
      share === 'all'
        ? await removeWhole(client, { ...options, dropPatienceMs }, partition)
        : await removeSome(client, options, partition, onRemoved ?? (() => {}));
    // What kept one partition from being dropped keeps all of them: do not wait for it again.
    if (cleaned?.outcome === 'emptied') dropPatienceMs = 0;
    if (cleaned) yield cleaned;
  }
}

/**
 * Forgets data about notifications that are no longer in the log: event ids given by publishers
 * before the time, and which dead letters were discarded.
 * @returns how many event ids were forgotten
 */
export async function forgetRemoved(
  client: ClientBase,
  { schema, before, signal }: CleanOptions,
): Promise<number> {
  let count = 0;
  for (let afterId: string | null = null; !signal.aborted; ) {
    const { lastId, removed } = await deletePublished(client, schema, { before, afterId });
    count += removed;
    if (lastId === null) break;
    afterId = lastId;
  }
  if (!signal.aborted) await deleteDiscarded(client, schema, before);
  return count;
}

async function removeWhole(
  client: ClientBase,
  options: DropOptions,
  partition: Partition,
): Promise<Cleaned | null> {
  const result = await removePartition(client, options, partition);
  if (result.type === 'gone') return null;
  const isRemoved = 'wasEmpty' in result && !result.wasEmpty;
  return {
    partition,
    outcome: result.type,
    removed: isRemoved ? partition.rowEstimate : 0,
    pins: result.type === 'pinned' ? await pinsOf(client, options, partition) : [],
    heldBy: 'heldBy' in result ? result.heldBy : null,
  };
}

async function removeSome(
  client: ClientBase,
  options: CleanOptions,
  partition: Partition,
  onRemoved: OnRemoved,
): Promise<Cleaned | null> {
  const { removed, pinned, heldBy } = await thinPartition(client, options, partition, onRemoved);
  if (removed === 0 && pinned === 0 && heldBy === null) return null;
  return {
    partition,
    outcome: heldBy !== null ? 'locked' : pinned > 0 ? 'pinned' : 'deleted',
    removed,
    pins: pinned > 0 ? await pinsOf(client, options, partition) : [],
    heldBy,
  };
}

function pinsOf(client: ClientBase, { schema }: CleanOptions, { name }: Partition) {
  return readPins(client, schema, { partition: name });
}
