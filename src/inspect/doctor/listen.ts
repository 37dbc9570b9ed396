import { randomUUID } from 'node:crypto';
import type { Client, Notification } from 'pg';
import { isPooled, keepsSession } from '../../database/pooler.ts';
import { toError } from '../../errors.ts';
import { withDeadline } from '../../time.ts';
import type { Check, Finding } from './check.ts';

/** Checks that LISTEN works, and how long it takes: a NOTIFY to itself, on a random channel. */
export const listen: Check = {
  name: 'listen',
  runs: 'connection',
  needs: 'nothing',
  async run(client, { target, limits }) {
    if ((await isPooled(client)) && !(await keepsSession(client, target))) {
      return { findings: [], seen: 'not checked, because of a pooler' };
    }
    try {
      const tookMs = await roundTrip(client);
      const findings = tookMs > limits.listenMs ? [slow(tookMs)] : [];
      return { findings, seen: `${tookMs.toFixed(1)} ms from NOTIFY to LISTEN` };
    } catch (thrown) {
      const reason = toError(thrown).message.replace(/\.$/, '');
      return { findings: [broken(reason)], seen: reason };
    }
  },
};

async function roundTrip(client: Client): Promise<number> {
  const channel = `pgwatch doctor ${randomUUID()}`;
  let onNotification: (notification: Notification) => void = () => {};
  const heard = new Promise<void>((resolve) => {
    onNotification = (notification) => {
      if (notification.channel === channel) resolve();
    };
  });
  client.on('notification', onNotification);
  try {
    await client.query(`listen "${channel}"`);
    const startedAt = performance.now();
    await client.query('select pg_catalog.pg_notify($1, $2)', [channel, '']);
    await withDeadline(heard, HEARD_MS_MAX, () => new Error('nothing came back'));
    return performance.now() - startedAt;
  } finally {
    client.off('notification', onNotification);
    await client.query(`unlisten "${channel}"`).catch(() => {});
  }
}

function slow(tookMs: number): Finding {
  return {
    level: 'note',
    what: `A NOTIFY takes ${Math.round(tookMs)} ms to come back.`,
    why: 'Idle consumers start at least this much later.',
    fix: 'Check the findings of queue, the load of the server, and the network.',
  };
}

function broken(reason: string): Finding {
  return {
    level: 'problem',
    what: `LISTEN does not work: ${reason}.`,
    why: 'Nothing is lost, but notifications wait for the next poll of the daemons.',
    fix:
      'See the findings of version, queue and connection. If the server says "could not access ' +
      'status of transaction": select pg_notification_queue_usage(); ' +
      'and install its newest minor release.',
  };
}

const HEARD_MS_MAX = 5000;
