import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../helpers/wait.ts';
import { EXACT, RECORDING, SHARED, SHARED_EXACT } from '../consumers.ts';
import type { SupervisedDaemon } from '../daemons/supervised-daemon.ts';
import type { Experiment } from '../experiment.ts';
import { underLoad } from '../load.ts';
import { OVER_ANOTHER_CONNECTION, tamperSql } from '../mutations.ts';
import type { World } from '../world.ts';

/**
 * Two of three daemons are frozen for three times as long as they count as alive, and then
 * continue. Other daemons take over their work meanwhile, and what they are in the middle of must
 * not commit.
 */
export const freeze: Experiment = {
  name: 'freeze',
  async run(world) {
    await underLoad(world, {
      daemons: 3,
      consumers: [RECORDING, EXACT, SHARED, SHARED_EXACT],
      daemon: () => ({ config: { heartbeatInterval: HEARTBEAT_MS } }),
      async harm(signal) {
        do {
          await delay(world.random() * 300);
          const spared = await chooseSpared(world);
          const frozen = world.daemons.filter((daemon) => daemon !== spared);
          await Promise.all(frozen.map((daemon) => freezeOne(world, daemon)));
        } while (!signal.aborted);
      },
    });
  },
  mutants: {
    'a takeover does not raise the epoch': {
      sql: tamperSql('update', 'consumer_progress', 'new.epoch := old.epoch; return new;'),
      shows: ['duplicateEffects', 'setbacks'],
    },
    'a loop settles what another process has taken over': {
      door: 'subscribe',
      source: [
        { file: 'service/delivery.ts', right: 'if (context.isFenced)', wrong: 'if (false)' },
        {
          file: 'log/positions/save.ts',
          right: 'progress.epoch = save.epoch\n    and save.server',
          wrong: 'save.server',
        },
      ],
      shows: ['duplicateEffects', 'setbacks'],
    },
    ...OVER_ANOTHER_CONNECTION,
  },
};

/** Any daemon except the one whose transactions contain the effects. */
async function chooseSpared(world: World): Promise<SupervisedDaemon | undefined> {
  const owners = await world.query<{ pid: number }>(
    `select pid from pgwatch.consumer_progress join pgwatch.daemon on owner = daemon_id
     where consumer_id = $1`,
    [EXACT.id],
  );
  const others = world.daemons.filter(({ pid }) => pid !== owners[0]?.pid);
  return others[Math.floor(world.random() * others.length)];
}

async function freezeOne(world: World, daemon: SupervisedDaemon): Promise<void> {
  const when = world.isMutant
    ? 'before a commit'
    : (WHENS[Math.floor(world.random() * 3)] ?? 'now');
  await until('the daemon has joined', async () => {
    const joined = await world.query('select from pgwatch.daemon where pid = $1', [daemon.pid]);
    return joined.length > 0;
  });
  await daemon.freeze(when);
  world.count(`daemon frozen ${when}`);
  try {
    await delay(3 * ALIVE_MS);
    await until("the frozen daemon's work is taken over", async () => {
      const kept = await world.query<{ what: string }>(KEPT, [daemon.pid]);
      return kept.length === 0 || kept.map(({ what }) => what).join(', ');
    });
  } finally {
    daemon.thaw();
  }
}

/** Mutants are frozen before a commit: at other times their fault rarely shows. */
const WHENS = ['now', 'at a step', 'before a commit'] as const;

const KEPT = `
with frozen as (select daemon_id from pgwatch.daemon where pid = $1)
select consumer_id as what from pgwatch.consumer_progress join frozen on owner = daemon_id
union all
select format('lease of %s', consumer_id) from pgwatch.lease join frozen on owner = daemon_id`;

const HEARTBEAT_MS = 300;
/** A daemon counts as dead once it has missed three heartbeats. */
const ALIVE_MS = 3 * HEARTBEAT_MS;
