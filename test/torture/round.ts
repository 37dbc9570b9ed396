import { withDeadline } from '../../src/time.ts';
import { drawDoor, type WorldDoor } from './daemons/doors.ts';
import { drain, readHistory } from './drain.ts';
import type { Experiment, Mutation } from './experiment.ts';
import { check, isClean, type Verdict } from './history/check.ts';
import type { TortureServer } from './server.ts';
import { World, type WorldOptions } from './world.ts';

/** The result of one run of an experiment. */
export type Round = {
  experiment: string;
  /** The mutant that was run; null: none. */
  mutant: string | null;
  seed: number;
  /** How the daemons were run. */
  door: WorldDoor;
  verdict: Verdict;
  /** For a mutant: whether one of its expected findings was found. */
  isCaught: boolean;
  faults: ReadonlyMap<string, number>;
  /** The longest wait of a bystander, if that is measured. */
  latencyMs: number | null;
  /** Other failures: a daemon that crashed, an experiment that could not continue. */
  failures: string[];
  /** Where the history is kept; null if it was not worth keeping. */
  folder: string | null;
};

export type RoundOptions = Omit<WorldOptions, 'mutation' | 'door'> & {
  experiment: Experiment;
  mutant: string | null;
  /** Default: the seed decides. */
  door?: WorldDoor | undefined;
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
  const door = doorOf(mutation) ?? options.door ?? drawDoor(experiment.name, seed);
  const world = await World.open({ ...options, server, mutation, door });
  const failures: string[] = [];
  try {
    const running = experiment.run(world).then(() => drain(world));
    // If it hangs it fails later, when its world is gone.
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
    door,
    verdict,
    isCaught: mutation?.shows.some((kind) => verdict[kind].length > 0) ?? false,
    faults: world.faults,
    latencyMs: world.latencyMs,
    failures,
    folder,
  };
}

/** The door that a mutant needs, if it needs one. */
function doorOf(mutation: Mutation | null): WorldDoor | undefined {
  if (mutation?.reader) return 'daemon';
  if (mutation?.loop) return 'subscribe';
  return mutation?.door;
}

const HANG_MS = 90_000;
