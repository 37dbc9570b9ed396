import { setTimeout as delay } from 'node:timers/promises';
import { BY_HAND_SQL } from '../by-hand-sql.ts';
import { EXACT, RECORDING, SHARED_EXACT } from '../consumers.ts';
import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad, untilAtWork } from '../load.ts';
import { tamperSql } from '../mutations.ts';
import { Operator } from '../operator.ts';
import type { World } from '../world.ts';

/**
 * An operator seeks, replays, pauses and cleans up while daemons die and lose their connections.
 * What a seek skips may be missing and what is requested again comes again, but nothing else.
 */
export const byHand: Experiment = {
  name: 'by-hand',
  async run(world) {
    await world.query(BY_HAND_SQL);
    const consumers = [RECORDING, EXACT, SHARED_EXACT];
    await underLoad(world, {
      daemons: 2,
      consumers,
      async harm(signal) {
        await untilAtWork(world);
        const done = new AbortController();
        const operating = consumers.map(({ id }) => operate(world, id, signal));
        const harming = harmDaemons(world, done.signal);
        await Promise.all(operating).finally(() => done.abort());
        await harming;
      },
    });
  },
  mutants: {
    'a seek forward settles what is in flight': {
      sql: tamperWithSeeks(`if new.done_id > old.done_id then
        new.done_snapshot := format('%s:%1$s:', pg_snapshot_xmax(new.done_snapshot));
      end if;`),
      shows: ['lost'],
    },
    'a seek back takes a new snapshot': {
      sql: tamperWithSeeks(`if new.done_id < old.done_id then
        new.done_snapshot := pg_current_snapshot();
      end if;`),
      shows: ['lost'],
    },
    'a seek does not stop the owner': {
      sql: tamperWithSeeks('new.epoch := old.epoch;'),
      shows: ['setbacks', 'duplicateEffects'],
    },
    'a replay is forgotten': {
      sql: `create function torture.forget() returns trigger language plpgsql as $$ begin
          delete from pgwatch.delivery
          where consumer_id = new.consumer_id and notification_id = new.notification_id;
          return null;
        end $$;
        create trigger forget after insert on pgwatch.delivery for each row
        when (new.replayed_at is not null and new.notification_id % 3 = 0)
        execute function torture.forget()`,
      shows: ['lost'],
    },
    'cleanup removes unread notifications': {
      sql: `create or replace function pgwatch.log_is_settled(
          id bigint, xid xid8, progress pgwatch.consumer_progress, rebased_id bigint)
        returns boolean language sql immutable parallel safe return true`,
      shows: ['lost'],
    },
  },
};

function tamperWithSeeks(statements: string): string {
  const tampering = `if current_setting('torture.by_hand', true) = 'seek' then
    ${statements} end if; return new;`;
  return tamperSql('update', 'consumer_progress', tampering);
}

const HANDS: readonly ((operator: Operator) => Promise<void>)[] = [
  (operator) => operator.seekForward(),
  (operator) => operator.seekBack(),
  (operator) => operator.replay(),
  (operator) => operator.pause(() => operator.seekForward()),
  (operator) => operator.pause(() => operator.seekBack()),
  (operator) => operator.cleanUp(),
];

/** Each operation at least once, in random order. */
async function operate(world: World, consumerId: string, signal: AbortSignal): Promise<void> {
  await world.withClient(async (client) => {
    const operator = new Operator(world, consumerId, client);
    const deal = makeDeck(world.random, HANDS);
    for (let count = 0; count < HANDS.length || !signal.aborted; count++) {
      await delay(world.random() * 50);
      await deal()(operator);
    }
  });
}

/** Kills a daemon, or ends some connections of the daemons. */
async function harmDaemons(world: World, signal: AbortSignal): Promise<void> {
  const deal = makeDeck(world.random, ['kill', 'terminate']);
  await repeatedly(world, [200, 1500], signal, async () => {
    if (deal() === 'kill') {
      world.daemons[Math.floor(world.random() * world.daemons.length)]?.kill();
      return world.count('kill -9 of a daemon');
    }
    const ended = await world.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'pgwatch%' and random() < 0.5`,
    );
    world.count('pg_terminate_backend', ended.length);
  });
}
