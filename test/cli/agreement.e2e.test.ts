import { afterEach, expect, test } from 'vitest';
import { Daemon } from '../../src/daemon/daemon.ts';
import { PgwatchError } from '../../src/errors.ts';
import { explain } from '../../src/inspect/why/explain.ts';
import { answerReport } from '../../src/inspect/why/report.ts';
import { collectReports } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { findingsOf } from '../helpers/doctor.ts';
import { makeConsumer } from '../helpers/doors/run.ts';
import { runMain } from '../helpers/main.ts';
import { type Random, seededRandom } from '../racing/random.ts';

/*
Goal: whatever has happened, why, show, status, consumers show and doctor never contradict one
another. Random histories, with everything that people do to consumers; after each step all of them
are asked.
*/

const database = useDatabase();
const IDS = ['one', 'shared', 'elsewhere'];
const DAEMON = '00000000-0000-0000-0000-00000000000d';

afterEach(() => emptyLog(database));

const pick = <T>(random: Random, from: readonly T[]) =>
  from[Math.floor(random() * from.length)] as T;

type Answer = { consumerId: string; isExpected: boolean; reasons: { code: string }[] };
type View = Record<string, unknown> & {
  consumerId: string;
  state: string;
  isRun: boolean;
  isShared: boolean;
  unread: number;
  retrying: number;
  blocked: number;
  replaying: number;
  dead: number;
};

const pgwatch = async (...args: (string | number)[]) => {
  const result = await runMain(args.map(String), { env: { DATABASE_URL: database.url } });
  if (result.exitCode === 2) throw new Error(`${args.join(' ')}: ${result.stderr}`);
  return result;
};

const json = async (...args: (string | number)[]) =>
  JSON.parse((await pgwatch(...args, '--json')).stdout);

/** Handles all there is; what is published as bad fails. */
async function runOnce(ids: readonly string[], attempts: number) {
  const consumers = ids.map((id) =>
    makeConsumer({
      id,
      channels: [id === 'elsewhere' ? 'b' : 'a'],
      instances: id === 'shared' ? 'shared' : 'one',
      retry: { attempts, backoff: '1h' },
      handle({ payload }) {
        if (payload === 'bad') throw new Error('bad');
      },
    }),
  );
  const { reporter } = collectReports();
  const daemon = new Daemon({ config: database.config, consumers, reporter });
  await daemon.runOnce(new AbortController().signal).catch((error: Error) => {
    // It fails whenever a notification has failed.
    if (!(error instanceof PgwatchError && error.code === 'handler_failed')) throw error;
  });
}

const publish = (random: Random) =>
  database.query(
    `select smart_notify($1, to_jsonb(payload), key)
     from unnest($2::text[], $3::text[]) as n (payload, key)`,
    [
      pick(random, ['a', 'a', 'b']),
      [0, 1, 2].map(() => pick(random, ['good', 'good', 'bad'])),
      [0, 1, 2].map(() => pick(random, ['k', 'l', null])),
    ],
  );

/** A daemon that is alive, runs a consumer and reports this state; it does nothing. */
async function fakeDaemon(consumerId: string, state: string) {
  const activity = { consumers: { [consumerId]: { state, rate: 0, lastError: null } } };
  await database.query(
    `insert into pgwatch.daemon
       (daemon_id, host, pid, has_lock, consumer_ids, shared_ids, alive_until, activity)
     values ($1, 'web-1', 42, false, $2, $3, now() + interval '1 hour', $4)`,
    [
      DAEMON,
      consumerId === 'shared' ? [] : [consumerId],
      consumerId === 'shared' ? [consumerId] : [],
      activity,
    ],
  );
  await database.query(
    `update pgwatch.consumer_progress set owner = $1, owned_since = now()
     where consumer_id = $2 and not is_shared`,
    [DAEMON, consumerId],
  );
}

const killDaemon = () => database.query('delete from pgwatch.daemon');

const STEPS: Record<string, (random: Random) => Promise<unknown>> = {
  publish,
  run: (random) => runOnce(IDS, pick(random, [1, 2])),
  runOne: (random) => runOnce([pick(random, IDS)], 1),
  pause: (random) => pgwatch('consumers', 'pause', pick(random, IDS)),
  resume: () => pgwatch('consumers', 'resume', ...IDS),
  retry: (random) => pgwatch('dlq', 'retry', '--consumer', pick(random, IDS), '--all'),
  discard: (random) => pgwatch('dlq', 'discard', '--consumer', pick(random, IDS), '--all'),
  seek: (random) =>
    pgwatch('seek', pick(random, IDS), '--to', pick(random, ['start', 'now', '-2', '+1']), '--yes'),
  replay: (random) => pgwatch('replay', pick(random, IDS), '--since', '1h', '--no-wait'),
  async alive(random) {
    await killDaemon();
    const state = pick(random, ['tail', 'stopped', 'retrying', 'catching up']);
    await fakeDaemon(pick(random, IDS), state);
  },
  dies: killDaemon,
};

/** Codes of reasons for a notification that has a delivery, and for one that is yet to be read. */
const FILED = ['dead', 'backoff', 'due', 'replay'];
const UNREAD = ['waiting', 'late', 'leased', 'under_way'];

/** As "why ID --json" prints them, without the cost of a command for each. */
async function whyAnswers(id: number): Promise<Answer[]> {
  const { answers } = await explain(database.pool, database.config, { id, consumerId: null });
  return JSON.parse(JSON.stringify(answers.map((answer) => answerReport(answer, id))));
}

async function requireAgreement() {
  const { rows } = await database.query('select id::float8 from pgwatch.notification order by id');
  const ids = rows.map(({ id }) => id as number);
  const status: View[] = (await json('status')).consumers;
  const shown: View[] = await json('consumers', 'show', ...IDS);
  const findings = await findingsOf(database.config, 'consumers');
  const answers: Answer[] = [];
  const stored = ids.length === 0 ? [] : await json('show', ...ids);
  for (const [index, id] of ids.entries()) {
    const why = await whyAnswers(id);
    if (index === 0)
      expect((await json('why', id)).consumers.map(lasting)).toEqual(why.map(lasting));
    answers.push(...why);
    const meant = why.filter(({ reasons: [first] }) => first?.code !== 'filtered');
    expect(stored[index].consumers.map(lasting)).toEqual(meant.map(lasting));
  }
  for (const view of status) {
    const { consumerId } = view;
    const complete = shown.find((each) => each.consumerId === consumerId);
    expect(complete).toMatchObject({ ...view, ageMs: complete?.ageMs });
    const own = answers.filter((answer) => answer.consumerId === consumerId);
    requireCounts(view, own);
    requireObstacles(view, own, findings);
  }
}

function requireCounts({ dead, retrying, blocked, replaying, unread }: View, own: Answer[]) {
  const codes = own.map(({ reasons }) => reasons.map(({ code }) => code));
  const has = (...wanted: string[]) =>
    codes.filter((of) => of.some((code) => wanted.includes(code))).length;
  expect(has('dead')).toBe(dead);
  const isUnread = (of: string[]) => of.some((code) => UNREAD.includes(code));
  const filed = codes.filter(
    (of) => !isUnread(of) && of.some((code) => [...FILED, 'blocked'].includes(code)),
  );
  expect(filed.length).toBe(dead + retrying + blocked + replaying);
  expect(codes.filter(isUnread).length).toBe(unread);
}

function requireObstacles(view: View, own: Answer[], findings: string[]) {
  const { consumerId, state, isRun, dead, unread } = view;
  const isPending = ({ reasons }: Answer) =>
    reasons.some(({ code }) => [...UNREAD, 'blocked', 'backoff', 'due', 'replay'].includes(code));
  for (const { reasons } of own.filter(isPending)) {
    const obstacle = reasons.map(({ code }) => code).find((code) => OBSTACLES.includes(code));
    expect([consumerId, obstacle]).toEqual([consumerId, obstacleOf(view)]);
  }
  const found = (part: string) => findings.some((text) => text.includes(part));
  expect(found(`${consumerId} has been paused`)).toBe(state === 'paused' || state === 'pausing');
  expect(found(`${consumerId} has ${dead} dead letter`)).toBe(dead > 0);
  if (dead > 0)
    expect(
      found(`${consumerId} has ${dead} dead letter${dead > 1 ? 's' : ''}, and has stopped.`),
    ).toBe(state === 'stopped');
  if (!isRun && unread > 0) {
    const isTold = new RegExp(`${consumerId}(, which)? has ${unread} notifications? to read`);
    expect(findings.some((text) => isTold.test(text))).toBe(state !== 'paused');
  }
}

function obstacleOf({ state, isRun }: View): string | undefined {
  if (state === 'paused' || state === 'pausing') return 'paused';
  if (!isRun) return 'not_running';
  if (state === 'stopped') return 'stopped';
  return state === 'retrying' ? 'overfull' : undefined;
}

const OBSTACLES = ['paused', 'not_running', 'stopped', 'overfull'];

/** Without the sentences, which tell ages, and how long something has waited. */
function lasting({ reasons, ...answer }: Answer) {
  return { ...answer, reasons: reasons.map((reason) => ({ ...reason, message: null })) };
}

test.each([1, 2, 3])(
  'why, show, status, consumers show and doctor agree after every step of history %i',
  { timeout: 60_000 },
  async (seed) => {
    const random = seededRandom(seed * 7919);
    const history: string[] = [];
    await runOnce(IDS, 1);
    for (let step = 0; step < 14; step += 1) {
      const name = pick(
        random,
        step % 4 === 0 ? ['publish'] : step % 4 === 1 ? ['run', 'runOne'] : Object.keys(STEPS),
      );
      history.push(name);
      if (name.startsWith('run')) await killDaemon();
      await STEPS[name]?.(random);
      await requireAgreement().catch((error: Error) => {
        throw new Error(`after ${history.join(', ')}: ${error.message}`, { cause: error });
      });
    }
  },
);
