import type { Queryable } from '../../database/connect.ts';
import { countGaps } from './gaps.ts';
import { type Partition, readPartitions, readSpan, shareBefore } from './partitions.ts';
import { type Pin, readPins } from './pins.ts';

/** What cleanup would do with a partition, and which consumers need something of it. */
export type Planned = {
  partition: Partition;
  /** How many notifications are old; an estimate if all are and the server has one. */
  count: number;
  isEstimate: boolean;
  /** True if all of it is old. */
  isWhole: boolean;
  pins: readonly (Pin & { /** How many its position has not reached. */ count: number | null })[];
};

/** Examines all partitions with old notifications. Changes nothing, and blocks no other session. */
export async function planCleanup(
  client: Queryable,
  schema: string,
  before: Date,
): Promise<Planned[]> {
  const plans: Planned[] = [];
  for (const partition of await readPartitions(client, schema)) {
    const share = shareBefore(partition, before);
    if (share === 'none') continue;
    const target = { partition: partition.name, before };
    const isEstimate = share === 'all' && partition.rowEstimate !== null;
    const span = isEstimate ? null : await readSpan(client, schema, target);
    const count = span?.count ?? partition.rowEstimate ?? 0;
    if (share === 'part' && count === 0) continue;
    const upTo = share === 'part' ? Number(span?.lastId) : null;
    const pins = await readPins(client, schema, { partition: partition.name, upTo });
    const counts = await countFor(client, schema, target, pins);
    plans.push({
      partition,
      count,
      isEstimate,
      isWhole: share === 'all',
      pins: pins.map((pin) => ({
        ...pin,
        count: pin.reason === 'position' ? (counts.get(pin.consumerId) ?? 0) : null,
      })),
    });
  }
  return plans;
}

/** Counts per consumer. This reads the whole partition, so only if a consumer needs some of it. */
async function countFor(
  client: Queryable,
  schema: string,
  target: { partition: string; before: Date },
  pins: readonly Pin[],
): Promise<Map<string, number>> {
  if (!pins.some(({ reason }) => reason === 'position')) return new Map();
  const { gaps } = await countGaps(client, schema, target);
  return new Map(gaps.map((gap) => [gap.consumer_id, gap.count]));
}
