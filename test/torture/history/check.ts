import type { History, Promised, Stored } from './history.ts';

/** What is wrong with a history. Each finding is a text that names the notification. */
export type Verdict = {
  /** How many notifications were committed. */
  notifications: number;
  /** Of them, how many had a writer that never learned of it. */
  unknownCommitted: number;
  /** Committed, and neither handled nor among the dead letters; or gone from the log. */
  lost: string[];
  /** Handled or stored, although its transaction did not commit. */
  phantom: string[];
  /** Stored twice, or more than one effect where exactly one was promised. */
  duplicateEffects: string[];
  /** Handled before an earlier one of its key was over. */
  inversions: string[];
  /** Calls beyond the first that returned: what at-least-once allows. */
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
    repeated: perConsumer.reduce((sum, { repeated }) => sum + repeated, 0),
  };
}

/** True where nothing is wrong. */
export function isClean(verdict: Verdict): boolean {
  const { lost, phantom, duplicateEffects, inversions } = verdict;
  return [lost, phantom, duplicateEffects, inversions].every((findings) => findings.length === 0);
}

/** Those whose writers say so, and of those whose writers do not know, the ones in the log. */
function committedTokens({ attempts, stored }: History): Set<string> {
  const inLog = new Set(stored.map(({ token }) => token));
  return new Set(
    attempts
      .filter(({ token, outcome }) =>
        outcome === 'unknown' ? inLog.has(token) : outcome === 'committed',
      )
      .map(({ token }) => token),
  );
}

function goneFromLog({ stored }: History, committed: ReadonlySet<string>): string[] {
  const inLog = new Set(stored.map(({ token }) => token));
  return [...committed].filter((token) => !inLog.has(token)).map((token) => `log: ${token}`);
}

function findPhantoms(history: History, committed: ReadonlySet<string>): string[] {
  const { handlings, stored, effects } = history;
  const seen = [
    ...stored.map(({ token }) => `log: ${token}`),
    ...handlings.map(({ consumer, token }) => `${consumer}: ${token}`),
    ...effects.map(({ consumer, token }) => `${consumer}: ${token}`),
  ];
  return [...new Set(seen)].filter((text) => !committed.has(text.slice(text.indexOf(' ') + 1)));
}

type ConsumerVerdict = Pick<Verdict, 'lost' | 'duplicateEffects' | 'inversions' | 'repeated'>;

function checkConsumer(
  history: History,
  consumer: Promised,
  committed: ReadonlySet<string>,
): ConsumerVerdict {
  const own = <Item extends { consumer: string }>(items: readonly Item[]) =>
    items.filter((item) => item.consumer === consumer.id);
  const name = (token: string) => `${consumer.id}: ${token}`;
  const done = own(history.handlings)
    .filter(({ at }) => at === 'done')
    .map(({ token }) => token);
  const effects = own(history.effects).map(({ token }) => token);
  const dead = own(history.deadLetters).map(({ token }) => token);
  const isExact = consumer.effects === 'exactly once';
  const settled = new Set([...(isExact ? effects : done), ...dead]);
  const inversions =
    consumer.order === 'none'
      ? []
      : [
          ...findInversions(history.stored, timesOf(own(history.handlings), dead)),
          ...findInversions(history.stored, timesOf(effects.flatMap(asHandlings), [])),
        ];
  return {
    lost: [...committed].filter((token) => !settled.has(token)).map(name),
    // A dead letter's effect would be there twice once somebody retries it.
    duplicateEffects: isExact ? repetitions([...new Set(dead), ...effects]).map(name) : [],
    inversions: [...new Set(inversions)].map(name),
    repeated: done.length - new Set(done).size,
  };
}

/** When a notification was first handed over, and when it was over: places in the history. */
type Times = Map<string, { begun: number; over: number }>;

/** An effect is begun and done in one. */
function asHandlings(token: string): { at: 'begun' | 'done'; token: string }[] {
  return [
    { at: 'begun', token },
    { at: 'done', token },
  ];
}

/** Over is the first call that returned; of what was given up on, the last one that began. */
function timesOf(
  handlings: readonly { at: string; token: string }[],
  dead: readonly string[],
): Times {
  const times: Times = new Map();
  const isDead = new Set(dead);
  for (const [place, { at, token }] of handlings.entries()) {
    const known = times.get(token);
    const isDone = known !== undefined && known.over < Number.POSITIVE_INFINITY;
    if (!known) times.set(token, { begun: place, over: Number.POSITIVE_INFINITY });
    else if (at === 'done' && !isDone) known.over = place;
  }
  for (const [place, { at, token }] of handlings.entries()) {
    const known = times.get(token);
    if (known && at === 'begun' && isDead.has(token)) known.over = place;
  }
  return times;
}

function findInversions(stored: readonly Stored[], times: Times): string[] {
  const keys = Map.groupBy(
    stored.filter(({ key, token }) => key !== null && times.has(token)),
    ({ key }) => key,
  );
  return [...keys.values()].flatMap((rows) => {
    const inOrder = rows.toSorted((a, b) => a.sequence - b.sequence);
    return inOrder
      .filter(({ token }, index) => {
        const before = times.get(inOrder[index - 1]?.token ?? '');
        return before !== undefined && (times.get(token)?.begun ?? 0) < before.over;
      })
      .map(({ token }) => token);
  });
}

/** Each item once for every time that it occurs again. */
function repetitions(items: readonly string[]): string[] {
  const seen = new Set<string>();
  return items.filter((item) => seen.has(item) || !seen.add(item));
}
