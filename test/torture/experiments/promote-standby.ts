import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EXACT, RECORDING, SHARED } from '../consumers.ts';
import type { Experiment } from '../experiment.ts';
import type { Attempt } from '../history/history.ts';
import { RecordReader, RecordWriter } from '../history/record.ts';
import { underLoad } from '../load.ts';
import { WITHOUT_CATCH_UP } from '../mutations.ts';
import type { Network } from '../network/network.ts';
import { TortureServer } from '../server.ts';
import type { Replication } from '../standby.ts';
import type { World } from '../world.ts';

/**
 * The primary dies and its synchronous standby is promoted: nothing acknowledged may be missing.
 */
export const promoteSynchronous: Experiment = {
  name: 'promote-synchronous',
  run: (world) => promoteUnderLoad(world, 'synchronous'),
  startServer: () => TortureServer.start(),
  mutants: {
    'commits do not wait for the standby': {
      sql: `do $$ begin
        execute format('alter database %I set synchronous_commit = local', current_database());
      end $$`,
      shows: ['lost'],
    },
    ...WITHOUT_CATCH_UP,
  },
};

/**
 * The primary dies ahead of its standby, which is promoted: commits are lost, and their ids and
 * xids are assigned again. What is in the log after that is delivered.
 */
export const promoteAsynchronous: Experiment = {
  name: 'promote-asynchronous',
  run: (world) => promoteUnderLoad(world, 'asynchronous'),
  startServer: () => TortureServer.start(),
  mutants: {
    'duplicates are recognised by their ids': {
      handler: 'ignores ids that it has seen',
      shows: ['lost'],
    },
    ...WITHOUT_CATCH_UP,
  },
};

async function promoteUnderLoad(world: World, replication: Replication): Promise<void> {
  const network = await world.openNetwork();
  const { url } = network;
  await underLoad(world, {
    daemons: 2,
    consumers: [RECORDING, EXACT, SHARED],
    daemon: () => ({ url }),
    writers: { url, racing: 8, retrying: 2 },
    async harm(signal) {
      do await promote(world, network, replication);
      while (!signal.aborted);
    },
  });
}

async function promote(world: World, network: Network, replication: Replication): Promise<void> {
  const standby = await world.server.addStandby(replication);
  // It is killed at a random time during commits, usually with some that never get across.
  await delay(200 + world.random() * 300);
  if (world.random() < 0.8) {
    await standby.detach();
    await delay(100 + world.random() * 300);
  }
  network.leadTo(null);
  await world.server.failOver(standby);
  if (replication === 'asynchronous') await noteTakenBack(world);
  network.leadTo(world.url);
  world.count(`${replication} standby promoted`);
}

/** Records what the standby lacks, before any client can write to it. */
async function noteTakenBack(world: World): Promise<void> {
  const attempts = new RecordReader<Attempt>(join(world.folder, 'attempts.jsonl')).refresh();
  const rows = await world.query<{ token: string }>(
    `select payload->>'token' as token from pgwatch.notification_log`,
  );
  const stored = new Set(rows.map(({ token }) => token));
  const outcomes = new Map(attempts.map(({ token, outcome }) => [token, outcome]));
  const record = new RecordWriter<{ token: string }>(join(world.folder, 'taken-back.jsonl'));
  let lost = 0;
  for (const [token, outcome] of outcomes) {
    if (outcome === 'aborted' || stored.has(token)) continue;
    record.append({ token });
    if (outcome === 'committed') lost += 1;
  }
  record.close();
  world.count('acknowledged commit lost by the server', lost);
}
