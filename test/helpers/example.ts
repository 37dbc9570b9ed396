import { fileURLToPath } from 'node:url';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import { discoverConsumers } from '../../src/consumers/discover.ts';

/** One of the consumers in consumers/, loaded and checked as pgwatch loads it. */
export async function loadExample(id: string): Promise<ConsumerDefinition & { id: string }> {
  const consumers = await discoverConsumers(CONSUMERS);
  const consumer = consumers.find((candidate) => candidate.id === id);
  if (!consumer)
    throw new Error(`There is no consumer ${id}: ${consumers.map((each) => each.id)}.`);
  const { channels, from, batchSize, handleBatch } = consumer;
  return { id, channels, from, handleBatch, ...(batchSize === null ? {} : { batchSize }) };
}

const CONSUMERS = fileURLToPath(new URL('../../consumers', import.meta.url));
