import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EXACT, RECORDING, SHARED_EXACT } from '../consumers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import type { Experiment } from '../experiment.ts';
import type { Attempt, Handling } from '../history/history.ts';
import { RecordReader, RecordWriter } from '../history/record.ts';
import { repeatedly, underLoad } from '../load.ts';
import { tamperSql } from '../mutations.ts';
import type { World } from '../world.ts';
import type { Payload } from '../writers/transaction.ts';

/**
 * Some notifications cost their handlers the connection, each time. They become dead letters, and
 * neither the other notifications nor the other consumers wait for that.
 */
export const lostBackends: Experiment = {
  name: 'lost-backends',
  async run(world) {
    await underLoad(world, {
      consumers: [RECORDING, EXACT, SHARED_EXACT].map(soonGivingUp),
      writers: { racing: 6, poison: { 'loses its backend': SHARE } },
      async harm(signal) {
        await publish(world, { token: 'planted', sequence: 1, poison: 'loses its backend' });
        await repeatedly(world, [50, 200], signal, () => probe(world, signal));
      },
    });
    world.count('handler that lost its backend', lossesOf(world));
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

/**
 * Publishes a healthy notification, and measures how long the consumer without transactions takes
 * to handle it.
 */
async function probe(world: World, signal: AbortSignal): Promise<void> {
  const token = `probe.${world.random()}`;
  const startedAt = performance.now();
  await publish(world, { token, sequence: 1 });
  const handlings = new RecordReader<Handling>(join(world.folder, 'handlings.jsonl'));
  const isDone = () =>
    handlings
      .refresh()
      .some((line) => line.at === 'done' && line.token === token && line.consumer === RECORDING.id);
  while (!isDone() && performance.now() - startedAt < NEIGHBOUR_MS_MAX) await delay(10);
  const waitedMs = performance.now() - startedAt;
  world.noteLatency(waitedMs);
  const isLate = waitedMs >= NEIGHBOUR_MS_MAX && !signal.aborted;
  if (isLate && !world.isMutant) world.overdue.push(`${RECORDING.id}: ${token}`);
}

async function publish(world: World, payload: Omit<Payload, 'key'>): Promise<void> {
  await world.query(`select smart_notify('torture', $1)`, [payload]);
  const record = new RecordWriter<Attempt>(join(world.folder, 'attempts.jsonl'));
  record.append({ token: payload.token, outcome: 'committed' });
  record.close();
}

/** The number of failed handler calls: nothing else makes one fail. */
function lossesOf({ folder }: World): number {
  const handlings = new RecordReader<Handling>(join(folder, 'handlings.jsonl')).refresh();
  return handlings.filter(({ at }) => at === 'failed').length;
}

function soonGivingUp(consumer: ConsumerSetup): ConsumerSetup {
  return { ...consumer, options: { ...consumer.options, retry: { attempts: 3, backoff: 30 } } };
}

const SHARE = 0.01;
/** Less than a lost session took, far more than a healthy one takes. */
const NEIGHBOUR_MS_MAX = 10_000;
