import { expect, test } from 'vitest';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();
const { tail, publish } = useDelivering(database);

test('what has failed once and is long through does not count as waiting for a retry', async () => {
  let doneCount = 0;
  const daemon = await tail({
    id: 'c',
    channels: ['c'],
    concurrency: 50,
    retry: { backoff: () => 1 },
    async handle({ attempt }) {
      if (attempt === 1) throw new Error('not yet');
      doneCount += 1;
    },
  });
  for (let round = 1; round <= 11; round++) {
    await publish(...Array.from({ length: 1000 }, (_, n): [null, number] => [null, n]));
    await until('they are through', () => doneCount === round * 1000 || `${doneCount}`);
  }
  expect(daemon.reports.filter((text) => text.includes('fails so often'))).toEqual([]);
}, 60_000);
