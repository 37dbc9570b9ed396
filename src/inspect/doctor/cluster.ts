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
      return {
        findings: [foreign(thrown.message)],
        seen: 'the log, the positions and this cluster do not belong together',
      };
    }
    return { findings: [], seen: 'the log and all positions are of this cluster' };
  },
};

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
