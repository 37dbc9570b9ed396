import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { rebaseLog } from '../../../src/log/origin.ts';
import { until } from '../../helpers/wait.ts';
import { EXACT, RECORDING, SHARED } from '../consumers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { underLoad } from '../load.ts';
import { type Apart, dumpLog, restoreLog } from '../restores.ts';
import type { World } from '../world.ts';

/**
 * The log is restored without its positions, or the sequence of its ids is set back, while writers
 * continue. The daemon refuses to start until "pgwatch migrate rebase", and then delivers
 * everything in the log.
 */
export const apart: Experiment = {
  name: 'apart',
  async run(world) {
    const deal = makeDeck(world.random, [
      'without rows',
      'older log',
      'sequence set back',
    ] as const);
    await underLoad(world, {
      consumers: [RECORDING, EXACT, SHARED].map(withoutOrder),
      writers: { racing: 3 },
      async harm(signal) {
        for (let count = 0; count < 2 || !signal.aborted; count++) await part(world, deal());
      },
    });
  },
  mutants: {
    'the start does not compare the log with the positions': {
      sql: replaceSql(
        'log_origin_state()',
        `(rebased_id bigint, next_xid xid8, log_xid xid8, is_restored boolean,
          is_foreign boolean, sequence_id bigint,
          used_id bigint, used_by text, misplaced_id bigint, misplaced_by text, twice_id bigint)`,
        `return query select 0::bigint, '3'::xid8, '3'::xid8, false, false, 1::bigint, 1::bigint,
          '', null::bigint, null, null::bigint;`,
      ),
      shows: ['lost'],
    },
    'a rebase leaves the sequence unchanged': {
      sql: replaceSql(
        'log_rebase()',
        '(kept_notifications bigint, last_id bigint)',
        `select last_value into last_id from pgwatch.notification_log_id_seq;
         return query select * from pgwatch.right_log_rebase();
         perform setval('pgwatch.notification_log_id_seq', last_id);`,
      ),
      shows: ['lost'],
    },
    'a rebase skips unread notifications': {
      sql: replaceSql(
        'log_rebase()',
        '(kept_notifications bigint, last_id bigint)',
        `return query select * from pgwatch.right_log_rebase();
         update pgwatch.consumer_progress
         set done_id = greatest(done_id, (select max(id) from pgwatch.notification_log)),
           done_snapshot = pg_current_snapshot();`,
      ),
      shows: ['lost'],
    },
  },
};

/** Ids that are assigned again do not follow the order of commits, so no order can be kept. */
function withoutOrder(consumer: ConsumerSetup): ConsumerSetup {
  return { ...consumer, promised: { ...consumer.promised, order: 'none' } };
}

async function part(world: World, what: Apart): Promise<void> {
  await catchUp(world);
  await dumpLog(world);
  await catchUp(world);
  await endDaemons(world);
  // Published, but not read.
  await delay(world.random() * 100);
  const since = await restoreLog(world, what);
  await delay(50 + world.random() * 250);
  if (await isApart(world, since)) await expectRefusal(world, what);
  await world.withClient((client) => rebaseLog(client, 'pgwatch'));
  world.addDaemon();
}

async function endDaemons(world: World): Promise<void> {
  const daemons = world.daemons.filter(({ isStopping }) => !isStopping);
  const isClean = world.random() < 0.5;
  await Promise.all(daemons.map((daemon) => (isClean ? daemon.stop() : daemon.abandon())));
}

/** Whether a position is above the assigned ids, or newly published notifications are below one. */
async function isApart(world: World, since: string): Promise<boolean> {
  const [row] = await world.query<{ isApart: boolean }>(
    `select exists (
       select from pgwatch.consumer_progress, pgwatch.notification_log_id_seq as s
       where done_id > s.last_value or exists (
         select from pgwatch.notification_log where created_at > $1 and id <= done_id)
     ) as "isApart"`,
    [since],
  );
  return row?.isApart ?? false;
}

/** A daemon ends with the message that says what to do. */
async function expectRefusal(world: World, what: Apart): Promise<void> {
  const daemon = world.addDaemon();
  const endAt = performance.now() + (world.isMutant ? 5000 : 20_000);
  while (daemon.crashes.length === 0 && performance.now() < endAt) await delay(50);
  await daemon.abandon();
  const said = readFileSync(join(world.folder, 'daemons.log'), 'utf8');
  if (daemon.crashes.length === 0 || !said.includes('Run "pgwatch migrate rebase"')) {
    world.overdue.push(`${what}: the daemon does not refuse`);
  }
  daemon.crashes.length = 0;
  world.count('daemon that refused to start');
}

/** Waits until one consumer has reached the current end of the log; others may be behind. */
async function catchUp(world: World): Promise<void> {
  const [row] = await world.query<{ id: number }>(
    'select coalesce(max(id), 0)::float8 as id from pgwatch.notification_log',
  );
  await until(
    'a consumer catches up',
    async () => {
      const there = await world.query('select from pgwatch.consumer_progress where done_id >= $1', [
        row?.id ?? 0,
      ]);
      return there.length > 0 || 'all are behind';
    },
    world.isMutant ? 5000 : 30_000,
  ).catch((thrown: unknown) => {
    if (!world.isMutant) throw thrown;
  });
}

/** Replaces a function; the original can still be called. */
function replaceSql(name: string, columns: string, body: string): string {
  return `alter function pgwatch.${name} rename to right_${name.replace('()', '')};
    create function pgwatch.${name} returns table ${columns} language plpgsql as $$
    #variable_conflict use_column
    begin ${body} end $$`;
}
