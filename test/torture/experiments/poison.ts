import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { changeDeadLetters } from '../../../src/log/by-hand/dead-letter-change.ts';
import { NO_FILTER } from '../../../src/log/deliveries/filter.ts';
import { BATCHED, EXACT, RECORDING, SHARED } from '../consumers.ts';
import { FIXED } from '../daemons/handlers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import type { Experiment } from '../experiment.ts';
import type { Attempt, Handling } from '../history/history.ts';
import { RecordWriter } from '../history/record.ts';
import { repeatedly, underLoad } from '../load.ts';
import { tamperSql } from '../mutations.ts';
import type { World } from '../world.ts';
import type { Poison } from '../writers/transaction.ts';

/**
 * Some notifications make their handlers throw, refuse them, hang, or kill their process, each
 * time. Those become dead letters, and no others do. Those that fail until their handler is fixed
 * are then retried manually.
 */
export const poison: Experiment = {
  name: 'poison',
  async run(world) {
    await underLoad(world, {
      daemons: 2,
      consumers: [RECORDING, EXACT, SHARED, BATCHED].map(soonGivingUp),
      writers: {
        racing: 6,
        poison: SHARES,
      },
      async harm(signal) {
        await plant(world);
        await delay(world.durationMs / 2);
        writeFileSync(join(world.folder, FIXED), '');
        await repeatedly(world, [100, 300], signal, () => revive(world));
        // Calls from before the fix have failed by then.
        await delay(500);
        await revive(world);
        world.count('process killed by its handler', deathsOf(world));
      },
    });
  },
  mutants: {
    'a handler swallows its errors': { handler: 'swallows its errors', shows: ['lost'] },
    'deliveries vanish': {
      sql: tamperSql('insert', 'delivery', 'return case when random() < 0.5 then new end;'),
      shows: ['lost'],
    },
    'keys have no order': { options: { order: 'none' }, shows: ['inversions'] },
  },
};

/** One of each kind, whatever the writers choose. */
async function plant(world: World): Promise<void> {
  const record = new RecordWriter<Attempt>(join(world.folder, 'attempts.jsonl'));
  for (const kind of Object.keys(SHARES)) {
    const token = `planted.${kind}`;
    const payload = { token, sequence: 1, poison: kind };
    await world.query(`select smart_notify('torture', $1, $2)`, [payload, token]);
    record.append({ token, outcome: 'committed' });
  }
  record.close();
}

/** Retries dead letters, as an operator does once a handler is fixed. */
async function revive(world: World): Promise<void> {
  const record = new RecordWriter<Handling>(join(world.folder, 'handlings.jsonl'));
  const dead = await world.query<{ consumer: string; id: number; token: string }>(FIXED_DEAD);
  for (const { consumer, id, token } of dead) {
    // Recorded first: the calls that follow come later in the record.
    record.append({ at: 'revived', consumer, token, pid: process.pid });
    const filter = { ...NO_FILTER, consumerIds: [consumer], ids: [id] };
    const change = { action: 'retry', filter, isDryRun: false } as const;
    await world.withClient(async (client) => {
      for await (const _ of changeDeadLetters(client, 'pgwatch', change));
    });
  }
  record.close();
  world.count('dead letter retried manually', dead.length);
}

const FIXED_DEAD = `
select consumer_id as consumer, id::float8 as id, log.payload->>'token' as token
from pgwatch.delivery join pgwatch.notification_log as log on id = notification_id
where state = 'dead' and last_error->>'message' = 'It throws until it is fixed.'`;

const SHARES: Partial<Record<Poison, number>> = {
  throws: 0.01,
  'throws once': 0.01,
  'throws until it is fixed': 0.01,
  'asks to be called later': 0.01,
  'is refused': 0.005,
  'never returns': 0.0005,
  kills: 0.0005,
};

const deathsOf = ({ daemons }: World) => daemons.reduce((sum, { deaths }) => sum + deaths, 0);

function soonGivingUp(consumer: ConsumerSetup): ConsumerSetup {
  const options = { ...consumer.options, retry: { attempts: 3, backoff: 30 }, timeout: 300 };
  return { ...consumer, options };
}
