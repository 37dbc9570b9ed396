import { expect, test } from 'vitest';
import { Meter } from '../../src/daemon/calls/meter.ts';

/** A meter of a consumer that runs until the test has ended. */
function running(): Meter {
  const meter = new Meter();
  void meter.during(
    () => 'tail',
    () => new Promise(() => {}),
  );
  return meter;
}

test('the rate covers the last ten seconds, however often it is read', () => {
  const meter = running();
  const start = performance.now();
  for (let second = 1; second <= 20; second += 1) {
    meter.count(100);
    meter.read(start + second * 1000);
  }
  expect(meter.read(start + 20_000)).toMatchObject({ rate: 100, handled: 2000 });
  for (let second = 21; second <= 40; second += 1) meter.read(start + second * 1000);
  expect(meter.read(start + 40_000)).toMatchObject({ rate: 0, handled: 2000 });
});

test('between two distant heartbeats, the rate covers the time between them', () => {
  const meter = running();
  const start = performance.now();
  meter.read(start);
  meter.count(600);
  expect(meter.read(start + 60_000)?.rate).toBeCloseTo(10, 0);
});

test('there is no rate in the first two seconds', () => {
  const meter = running();
  const start = performance.now();
  meter.count(100);
  expect(meter.read(start + 1900)?.rate).toBeNull();
  expect(meter.read(start + 2100)?.rate).toBeGreaterThan(40);
});

test('a meter reports nothing for a consumer that does not run, and keeps its count', async () => {
  const meter = new Meter();
  expect(meter.read()).toBeNull();
  await meter.during(
    () => 'catching up',
    async () => meter.count(3),
  );
  expect(meter.read()).toBeNull();
  await meter.during(
    () => 'catching up',
    async () =>
      expect(meter.read()).toMatchObject({ state: 'catching up', handled: 3, rate: null }),
  );
});
