import { expect, test } from 'vitest';
import { pinningAdvice } from '../../src/inspect/cleanup/pinning.ts';
import type { Reason } from '../../src/inspect/why/decide.ts';
import { describeReason } from '../../src/inspect/why/reason-text.ts';

/*
Ids of consumers and names of tables may contain anything. A command that is printed to be copied
into a shell must quote each of them as one word.
*/

const EVIL = `x'; touch $(pwned) "; `;
const WORD = `'x'\\''; touch $(pwned) "; '`;

test.each([
  [{ code: 'done_or_skipped', at: new Date() }, `pgwatch replay ${WORD} --id 4`],
  [
    { code: 'blocked', by: { id: 3, nextAttemptAt: null } as never },
    `pgwatch why 3 --consumer ${WORD}`,
  ],
  [{ code: 'paused', since: new Date(), until: null }, `pgwatch consumers resume ${WORD}`],
  [{ code: 'not_running', seenAt: new Date(), runner: null }, `pgwatch listen --consumers ${WORD}`],
  [
    { code: 'stopped', runner: { host: 'h', pid: 1 } as never },
    `pgwatch dlq list --state dead --consumer ${WORD}`,
  ],
] satisfies [Reason, string][])('why quotes the consumer: %j', (reason, advice) => {
  expect(describeReason(reason, 4, EVIL).advice).toBe(advice);
});

test('cleanup quotes the consumer', () => {
  const consumer = {
    consumerId: EVIL,
    atId: 1,
    behind: 1,
    isAlive: false,
    isStopped: false,
    isPaused: false,
    savedAt: new Date(),
  };
  const advice = pinningAdvice(consumer, [{ consumerId: EVIL, reason: 'retry' }]);
  expect(advice).toContain(`"pgwatch dlq list --state all --consumer ${WORD}"`);
  expect(advice).toContain(`"pgwatch consumers remove ${WORD}"`);
});
