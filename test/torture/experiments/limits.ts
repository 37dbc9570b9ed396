import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { EXACT, RECORDING, SHARED } from '../consumers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import type { Experiment } from '../experiment.ts';
import type { Attempt } from '../history/history.ts';
import { RecordWriter } from '../history/record.ts';
import { repeatedly, underLoad } from '../load.ts';
import { tamperSql } from '../mutations.ts';

/**
 * Handlers fail on notifications at the limits of PostgreSQL: keys too long for an index entry,
 * deep contents. They are filed, called again in order, and become dead letters like any others.
 */
export const limits: Experiment = {
  name: 'limits',
  async run(world) {
    const record = new RecordWriter<Attempt>(join(world.folder, 'attempts.jsonl'));
    const keys = [3000, 9000, 60_000].map((length) => randomBytes(length / 2).toString('hex'));
    let sequence = 0;
    const harm = async (signal: AbortSignal) => {
      await repeatedly(world, [20, 80], signal, async () => {
        sequence += 1;
        const key = keys[Math.floor(world.random() * keys.length)] as string;
        const dice = world.random();
        const poison = dice < 0.4 ? 'throws once' : dice < 0.6 ? 'throws' : undefined;
        const token = `limits.${sequence}`;
        record.append({ token, outcome: 'unknown' });
        await world.query(`select smart_notify('torture', $1::jsonb || ${DEEP}, $2)`, [
          { token, sequence, poison },
          key,
        ]);
        record.append({ token, outcome: 'committed' });
        world.count('notification at a limit');
        if (dice > 0.97) {
          world.daemons[0]?.kill();
          world.count('kill -9 of a daemon');
        }
      });
      record.close();
    };
    const consumers = [RECORDING, EXACT, SHARED].map(soonGivingUp);
    await underLoad(world, { consumers, harm });
  },
  mutants: {
    'keys are indexed in full': {
      sql: `drop index pgwatch.delivery_key;
        create index delivery_key on pgwatch.delivery (consumer_id, key, notification_id)
        where state <> 'dead' and key is not null`,
      shows: ['lost'],
    },
    'deliveries with long keys are left out': {
      sql: tamperSql(
        'insert',
        'delivery',
        'return case when octet_length(new.key) < 2704 then new end;',
      ),
      shows: ['lost'],
    },
  },
};

function soonGivingUp(consumer: ConsumerSetup): ConsumerSetup {
  return { ...consumer, options: { ...consumer.options, retry: { attempts: 3, backoff: 30 } } };
}

/** Nested 3,000 times, which jsonb accepts with the smallest usual stack. */
const DEEP = `jsonb_build_object('deep', (repeat('[', 3000) || repeat(']', 3000))::jsonb)`;
