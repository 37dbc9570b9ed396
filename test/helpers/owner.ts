import assert from 'node:assert/strict';
import type { ClientBase } from 'pg';
import { readOwners } from '../../src/log/positions/daemons.ts';
import { type Takeover, takeOver } from '../../src/log/positions/progress.ts';

/** Makes a daemon that does not exist the owner of a consumer. */
export async function seize(
  client: ClientBase,
  consumer: { consumerId: string; channels: readonly string[] },
): Promise<Takeover> {
  const owners = await readOwners(client, 'pgwatch');
  const seenEpoch = owners.find((state) => state.consumerId === consumer.consumerId)?.epoch ?? 0;
  const taken = await takeOver(client, 'pgwatch', { ...consumer, owner: NOBODY, seenEpoch });
  assert(taken, 'nobody else takes it over meanwhile');
  return taken;
}

/** The daemon that does not exist. */
export const NOBODY = '00000000-0000-0000-0000-000000000001';
