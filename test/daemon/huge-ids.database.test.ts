import { afterEach, expect, test } from 'vitest';
import { startDaemon } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';

/* An id that JavaScript numbers cannot represent does not improve by trying again. */

const database = useDatabase({ pollInterval: '100ms' });
afterEach(() => emptyLog(database));

test.each([
  ['owned', {}],
  ['shared', { instances: 'shared' }],
  ['in a transaction', { transaction: true }],
] as const)('a daemon stops with an error at an id beyond 2^53: %s', async (_, how) => {
  await database.query(
    `select setval('pgwatch.notification_log_id_seq', 9007199254740993), smart_notify('c')`,
  );
  const definition = { id: 'c', channels: ['c'], handle: () => {}, ...how };
  await expect(startDaemon(database.config, [definition]).ended).rejects.toThrow(
    'has an id beyond 2^53',
  );
});
