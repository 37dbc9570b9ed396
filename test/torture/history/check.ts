import { HandMade } from './by-hand.ts';
import { committedTokens, findPhantoms, goneFromLog } from './committed.ts';
import { checkDeadLetters } from './dead-letters.ts';
import type { Handling, History, Promised, Stored } from './history.ts';
import { findInversions, findOverlaps } from './order.ts';

/** What is wrong with a history. Each finding is a text that names the notification. */
export type Verdict = {
  /** The number of committed notifications. */
  notifications: number;
  /** Of those, how many had a writer that never learned the outcome. */
  unknownCommitted: number;
  /** Committed, but neither handled nor a dead letter; or gone from the log. */
  lost: string[];
  /** Handled or stored, although its transaction did not commit. */
  phantom: string[];
  /** Stored twice, or with more than one effect although exactly one was promised. */
  duplicateEffects: string[];
  /** Handled before an earlier one of its key was over. */
  inversions: string[];
  /** Handled while another call for its key was running. */
  overlaps: string[];
  /** Dead letters although nothing is wrong with them, or for another reason than their own. */
  wronglyDead: string[];
  /**
   * Dead letters because their process ended during each of their calls, although other
   * notifications ended it: a daemon cannot always tell these apart.
   */
  collateral: string[];
  /** Positions that moved back. */
  setbacks: string[];
  /** Calls beyond the first that returned, which at-least-once allows. */
  repeated: number;
};

/** Compares what was written with what was handled. */
export function check(history: History): Verdict {
  const committed = committedTokens(history);
  const perConsumer = history.consumers.map((consumer) =>
    checkConsumer(history, consumer, committed),
  );
  return {
    notifications: committed.size,
    unknownCommitted: history.attempts.filter(
      ({ token, outcome }) => outcome === 'unknown' && committed.has(token),
    ).length,
    lost: [...goneFromLog(history, committed), ...perConsumer.flatMap(({ lost }) => lost)],
    phantom: findPhantoms(history, committed),
    duplicateEffects: [
      ...repetitions(history.stored.map(({ token }) => `stored twice: ${token}`)),
      ...perConsumer.flatMap(({ duplicateEffects }) => duplicateEffects),
    ],
    inversions: perConsumer.flatMap(({ inversions }) => inversions),
    overlaps: perConsumer.flatMap(({ overlaps }) => overlaps),
    wronglyDead: perConsumer.flatMap(({ wronglyDead }) => wronglyDead),
    collateral: perConsumer.flatMap(({ collateral }) => collateral),
    setbacks: [...history.setbacks],
    repeated: perConsumer.reduce((sum, { repeated }) => sum + repeated, 0),
  };
}

/** The kinds of findings, in the order of the report. */
export const FINDINGS = [
  'lost',
  'phantom',
  'duplicateEffects',
  'inversions',
  'overlaps',
  'wronglyDead',
  'setbacks',
] as const;

export type Finding = (typeof FINDINGS)[number];

/** Whether nothing is wrong. */
export function isClean(verdict: Verdict): boolean {
  return FINDINGS.every((kind) => verdict[kind].length === 0);
}

type ConsumerVerdict = Pick<
  Verdict,
  | 'lost'
  | 'duplicateEffects'
  | 'inversions'
  | 'overlaps'
  | 'wronglyDead'
  | 'collateral'
  | 'repeated'
>;

function checkConsumer(
  history: History,
  consumer: Promised,
  committed: ReadonlySet<string>,
): ConsumerVerdict {
  const own = <Item extends { consumer: string }>(items: readonly Item[]) =>
    items.filter((item) => item.consumer === consumer.id);
  const name = (text: string) => `${consumer.id}: ${text}`;
  const handMade = new HandMade(own(history.byHand));
  const stored = history.stored.filter(({ token }) => !handMade.skipped.has(token));
  const handlings = own(history.handlings);
  const done = handlings.filter(({ at }) => at === 'done').map(({ token }) => token);
  const effects = own(history.effects).map(({ token }) => token);
  const dead = own(history.deadLetters).map(({ token }) => token);
  const isExact = consumer.effects === 'exactly once';
  const settled = new Set([...(isExact ? effects : done), ...dead]);
  const { wronglyDead, collateral } = checkDeadLetters(history.stored, own(history.deadLetters));
  const overlaps = consumer.neverOverlaps ? findOverlaps(stored, handlings) : [];
  const inversions =
    consumer.order === 'none' ? [] : inversionsOf(stored, handlings, { effects, dead });
  const missing = [...committed].filter(
    (token) => !settled.has(token) && !handMade.skipped.has(token),
  );
  const once = handMade.withoutRepeated([...new Set(dead), ...effects]);
  return {
    lost: [...missing, ...handMade.missingReplays(isExact ? effects : done)].map(name),
    // A dead letter counts as an effect: a retry would add a second one.
    duplicateEffects: isExact ? repetitions(once).map(name) : [],
    inversions: inversions.map(name),
    overlaps: overlaps.map(name),
    wronglyDead: wronglyDead.map(name),
    collateral: collateral.map(name),
    repeated: done.length - new Set(done).size,
  };
}

/**
 * Inversions of calls and of effects. Effects of revived notifications are left out: they come
 * late.
 */
function inversionsOf(
  stored: readonly Stored[],
  handlings: readonly Handling[],
  { effects, dead }: { effects: readonly string[]; dead: readonly string[] },
): string[] {
  const revived = new Set(handlings.filter(({ at }) => at === 'revived').map((line) => line.token));
  const inTime = effects.filter((token) => !revived.has(token)).flatMap(asLines);
  const found = [...findInversions(stored, handlings, dead), ...findInversions(stored, inTime, [])];
  return [...new Set(found)];
}

/** An effect begins and is done at once. */
function asLines(token: string): Pick<Handling, 'at' | 'token'>[] {
  return [
    { at: 'begun', token },
    { at: 'done', token },
  ];
}

/** Each item once for every repetition. */
function repetitions(items: readonly string[]): string[] {
  const seen = new Set<string>();
  return items.filter((item) => seen.has(item) || !seen.add(item));
}
