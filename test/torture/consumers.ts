import type { ConsumerSetup } from './daemons/setup.ts';

/** Delivers at least once, keys concurrently. */
export const RECORDING: ConsumerSetup = {
  id: 'recording',
  handler: 'works',
  options: { concurrency: 4 },
  promised: { order: 'key', effects: 'at least once' },
};

/** Like RECORDING, but its handler needs the database, and fails when the database does. */
export const ASKING: ConsumerSetup = { ...RECORDING, id: 'asking', handler: 'writes an effect' };

/** Like ASKING, in batches and one after the other. */
export const BATCHED: ConsumerSetup = { ...ASKING, id: 'batched', options: {}, batch: 5 };

/** Writes its effects in the transaction that moves its position. */
export const EXACT: ConsumerSetup = {
  id: 'exact',
  handler: 'writes an effect',
  options: { transaction: true },
  promised: { order: 'key', effects: 'exactly once' },
};

/** Like EXACT, in batches. */
export const BATCHED_EXACT: ConsumerSetup = { ...EXACT, id: 'batched-exact', batch: 5 };

/** Like RECORDING, with its work split among the daemons. */
export const SHARED: ConsumerSetup = {
  ...RECORDING,
  id: 'shared',
  options: { ...RECORDING.options, instances: 'shared' },
};

/** Like EXACT, with its work split among the daemons. */
export const SHARED_EXACT: ConsumerSetup = {
  ...EXACT,
  id: 'shared-exact',
  options: { ...EXACT.options, instances: 'shared' },
};
