import { withDeadline } from '../../src/time.ts';
import { drain, readHistory } from './drain.ts';
import type { Experiment } from './experiment.ts';
import { check, isClean, type Verdict } from './history/check.ts';
import type { TortureServer } from './server.ts';
import { World, type WorldOptions } from './world.ts';

/** What one run of an experiment has shown. */
export type Round = {
  experiment: string;
  /** What was broken on purpose; null: nothing. */
  mutant: string | null;
  seed: number;
  verdict: Verdict;
  /** Of a mutant: whether what it must show was found. */
  isCaught: boolean;
  faults: ReadonlyMap<string, number>;
  /** The longest that a bystander waited, where that is measured. */
  latencyMs: number | null;
  /** What went wrong besides: a daemon that crashed, an experiment that could not go on. */
  failures: string[];
  /** Where the history is kept; null where it was not worth keeping. */
  folder: string | null;
};

export type RoundOptions = Omit<WorldOptions, 'mutation'> & {
  experiment: Experiment;
  mutant: string | null;
};

/** Runs an experiment once, in a world of its own, and checks its history. */
export async function runRound(options: RoundOptions): Promise<Round> {
  const { experiment } = options;
  const server = await experiment.startServer?.();
  try {
    return await runOn(server ?? options.server, options);
  } finally {
    await server?.stop();
  }
}

async function runOn(server: TortureServer, options: RoundOptions): Promise<Round> {
  const { experiment, mutant, seed } = options;
  const mutation = mutant === null ? null : (experiment.mutants[mutant] ?? null);
  const world = await World.open({ ...options, server, mutation });
  const failures: string[] = [];
  try {
    const running = experiment.run(world).then(() => drain(world));
    // One that hangs fails later, when its world is gone.
    running.catch(() => {});
    await withDeadline(running, options.durationMs + HANG_MS, () => new Error('it hangs'));
    if (mutant === null) await Promise.all(world.daemons.map((daemon) => daemon.stop()));
  } catch (thrown) {
    failures.push(String(thrown));
  }
  const checked = check(await readHistory(world));
  const verdict = { ...checked, lost: [...world.overdue, ...checked.lost] };
  failures.push(...world.daemons.flatMap(({ crashes }) => crashes.map((how) => `daemon: ${how}`)));
  const isKept = mutant === null && (!isClean(verdict) || failures.length > 0);
  await world.close(isKept ? 'keep folder' : 'remove folder');
  const folder = isKept ? world.folder : null;
  return {
    experiment: experiment.name,
    mutant,
    seed,
    verdict,
    isCaught: mutation?.shows.some((kind) => verdict[kind].length > 0) ?? false,
    faults: world.faults,
    latencyMs: world.latencyMs,
    failures,
    folder,
  };
}

const HANG_MS = 90_000;
