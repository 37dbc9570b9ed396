import { expect, test } from 'vitest';
import { Brake } from '../../src/daemon/calls/brake.ts';
import { collectReports } from '../helpers/daemon.ts';
import { makeConsumer } from '../helpers/doors/run.ts';

function makeBrake(onDead: 'stop' | 'continue' = 'stop') {
  const consumer = makeConsumer({ id: 'c', channels: ['c'], onDead, handle: () => {} });
  const { reporter, reports } = collectReports();
  return { brake: new Brake({ consumer, reporter }, 0), reports };
}

test('a look that began before a dead letter was saved does not release the brake', () => {
  const { brake } = makeBrake();
  brake.addDead();
  const tell = brake.look();
  brake.savedDead();
  tell(false);
  expect(brake.isHalted).toBe(true);
  brake.look()(false);
  expect(brake.isHalted).toBe(false);
});

test('a count that began before some retries were saved does not forget them', () => {
  const { brake } = makeBrake();
  for (let count = 0; count < 10_000; count++) brake.addRetry();
  brake.recount()(0);
  brake.addRetry();
  expect(brake.isOverfull).toBe(true);
  for (let count = 0; count < 10_001; count++) brake.savedRetry();
  brake.recount()(0);
  expect(brake.isOverfull).toBe(false);
});
