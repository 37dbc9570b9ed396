import type { ClientBase } from 'pg';
import { type CleanOptions, type DropOptions, removePartition } from './clean.ts';
import { type OnRemoved, thinPartition } from './clean-part.ts';
import { type Partition, readPartitions, shareBefore } from './partitions.ts';
import { type Pin, readPins } from './pins.ts';
import { deleteDiscarded, deletePublished } from './steps.ts';

/** What became of a partition that holds something old. */
export type Cleaned = {
  partition: Partition;
  /**
   * dropped: it is gone. emptied: all of it was removed, and it waits to be dropped. deleted: what
   * is old was removed, and it stays. pinned: something is needed and left, in part or all. locked:
   * somebody is in the way
   */
  outcome: 'dropped' | 'emptied' | 'deleted' | 'pinned' | 'locked';
  /** How many were removed; an estimate where all were, null where there is none. */
  removed: number | null;
  /** Who needs what is left. */
  pins: readonly Pin[];
  /** Who was in the way, for people. */
  heldBy: string | null;
};

export type LogCleaning = CleanOptions & {
  /** whole: only partitions that are old as a whole. */
  scope: 'all' | 'whole';
  /** A partition is begun. */
  onBegin?: (partition: Partition) => void;
  onRemoved?: OnRemoved;
};

/**
 * Removes what is older than a time, the oldest partition first. Yields those that held something
 * old.
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
    // Who has kept one from being dropped keeps all of them: it is not waited for again.
    if (cleaned?.outcome === 'emptied') dropPatienceMs = 0;
    if (cleaned) yield cleaned;
  }
}

/**
 * Forgets what is known of notifications that the log holds no longer: publishers' own event ids
 * from before the time, and that dead letters were discarded.
 * @returns how many event ids
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
