import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { spread } from '../../src/daemon/owned/spread.ts';
import type { LiveDaemon, OwnerState } from '../../src/log/positions/daemons.ts';

const daemon = (daemonId: string, consumerIds: string[]): LiveDaemon => {
  return { daemonId, consumerIds, sharedIds: [] };
};
const consumer = (consumerId: string, liveOwner: string | null): OwnerState => {
  return { consumerId, liveOwner, epoch: 1, isPaused: false, pausedUntil: null };
};

function loadsOf(targets: ReadonlyMap<string, string>, daemons: readonly LiveDaemon[]): number[] {
  return daemons.map(
    ({ daemonId }) => [...targets.values()].filter((target) => target === daemonId).length,
  );
}

const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** Owners may be daemons that want nothing, such as runs with --once, or that are not alive. */
const states = fc.record({
  wants: fc.array(fc.subarray(IDS), { minLength: 1, maxLength: 5 }),
  owners: fc.array(fc.option(fc.nat(6)), { minLength: IDS.length, maxLength: IDS.length }),
});

function build({ wants, owners }: { wants: string[][]; owners: (number | null)[] }) {
  const daemons = wants.map((ids, index) => daemon(`d${index}`, ids));
  const consumers = IDS.map((id, index) => {
    const owner = owners[index] ?? null;
    return consumer(id, owner === null ? null : `d${owner}`);
  });
  return { daemons, consumers };
}

test('a newcomer gets its share, and nothing else moves', () => {
  const owned = ['a', 'b', 'c', 'd'].map((id) => consumer(id, 'd0'));
  const daemons = [daemon('d0', IDS), daemon('d1', IDS)];
  expect([...spread(owned, daemons)]).toEqual([
    ['a', 'd1'],
    ['b', 'd1'],
    ['c', 'd0'],
    ['d', 'd0'],
  ]);
});

test('a difference of one moves nothing', () => {
  const owned = [consumer('a', 'd0'), consumer('b', 'd0'), consumer('c', 'd1')];
  const targets = spread(owned, [daemon('d0', IDS), daemon('d1', IDS)]);
  expect([...targets.values()]).toEqual(['d0', 'd0', 'd1']);
});

test('a consumer that its owner does not want any more goes to another process', () => {
  const targets = spread(
    [consumer('a', 'd0'), consumer('b', null)],
    [daemon('d0', []), daemon('d1', ['a', 'b'])],
  );
  expect(targets.get('b')).toBe('d1');
});

test('a paused consumer goes to no process and does not count as work', () => {
  const paused = ['a', 'b', 'c'].map((id) => ({ ...consumer(id, 'd0'), isPaused: true }));
  const owned = [...paused, consumer('d', 'd0'), consumer('e', null), consumer('f', null)];
  const targets = spread(owned, [daemon('d0', IDS), daemon('d1', IDS)]);
  expect([...targets]).toEqual([
    ['d', 'd0'],
    ['e', 'd1'],
    ['f', 'd0'],
  ]);
});

describe('whatever daemons own and want,', () => {
  test('each consumer goes to its owner or to a daemon that wants it', () => {
    fc.assert(
      fc.property(states, (state) => {
        const { daemons, consumers } = build(state);
        const targets = spread(consumers, daemons);
        for (const { consumerId, liveOwner } of consumers) {
          const wanting = daemons.filter(({ consumerIds }) => consumerIds.includes(consumerId));
          const allowed = [liveOwner, ...wanting.map(({ daemonId }) => daemonId)];
          expect(allowed).toContain(targets.get(consumerId) ?? null);
          if (wanting.length > 0) expect(targets.has(consumerId)).toBe(true);
        }
      }),
    );
  });

  test('if all want the same, loads differ by at most one', () => {
    fc.assert(
      fc.property(states, ({ wants, owners }) => {
        const living = owners.map((owner) => (owner === null ? null : owner % wants.length));
        const { daemons, consumers } = build({ wants: wants.map(() => IDS), owners: living });
        const loads = loadsOf(spread(consumers, daemons), daemons);
        expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('nothing moves after the consumers have been spread', () => {
    fc.assert(
      fc.property(states, (state) => {
        const { daemons, consumers } = build(state);
        const targets = spread(consumers, daemons);
        const done = consumers.map(({ consumerId }) =>
          consumer(consumerId, targets.get(consumerId) ?? null),
        );
        expect(new Map(spread(done, daemons))).toEqual(new Map(targets));
      }),
    );
  });
});
