import { qualified } from '../../database/names.ts';
import { PgwatchError } from '../../errors.ts';
import { requireOwnCluster } from '../../log/origin.ts';
import type { Check, Finding } from './check.ts';

/** Whether the log and the positions are of this cluster, and fit each other: not so after some restores. */
export const cluster: Check = {
  name: 'cluster',
  runs: 'transaction',
  needs: 'schema',
  async run(client, { config }) {
    try {
      await requireOwnCluster(client, config);
    } catch (thrown) {
      if (!(thrown instanceof PgwatchError)) throw thrown;
      return { findings: [foreign(thrown.message)], seen: 'the log is not of this cluster' };
    }
    const { rows } = await client.query<Ahead>(
      `select consumer_id as "consumerId", greatest(done_id, window_end)::text as "doneId", s.last_value::text as "lastId"
       from ${qualified(config.schema, 'consumer_progress')}
       cross join ${qualified(config.schema, 'notification_log_id_seq')} as s
       where greatest(done_id, window_end) > s.last_value order by consumer_id`,
    );
    return { findings: rows.map(ahead), seen: 'the log and all positions are of this cluster' };
  },
};

type Ahead = { consumerId: string; doneId: string; lastId: string };

function ahead({ consumerId, doneId, lastId }: Ahead): Finding {
  return {
    level: 'problem',
    what: `The position of ${consumerId} is at id ${doneId}, and the log has given out ids up to ${lastId} only.`,
    why: 'The log was restored, or emptied, without the positions: what gets these ids now may be passed over.',
    fix: 'pgwatch migrate rebase, which skips nothing that is not handled.',
  };
}

function foreign(message: string): Finding {
  // Its last sentence is the remedy.
  const [, what = message, fix = 'pgwatch migrate rebase'] =
    /^(.*?\.) (Run [^.]*\.)$/s.exec(message) ?? [];
  return {
    level: 'problem',
    what,
    why: 'Stored transaction ids and positions order wrongly here, so that notifications would be lost: daemons refuse to start.',
    fix,
  };
}
