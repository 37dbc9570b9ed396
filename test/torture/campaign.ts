import type { WorldDoor } from './daemons/doors.ts';
import type { Experiment } from './experiment.ts';
import { type Round, runRound } from './round.ts';
import type { TortureServer } from './server.ts';

export type CampaignOptions = {
  server: TortureServer;
  experiments: readonly Experiment[];
  /** Only this one; default all. */
  mutant?: string | undefined;
  /** Only this one; default: the seed decides. */
  door?: WorldDoor | undefined;
  seed: number;
  durationMs: number;
  /** Aborts when no further round is to begin. */
  stop: AbortSignal;
  /** Called after each round. */
  onRound(round: Round): void;
};

/**
 * Runs every experiment and each of its mutants once, then the experiments again with other seeds
 * until the time is up.
 */
export async function runCampaign(options: CampaignOptions): Promise<Round[]> {
  const rounds: Round[] = [];
  const endAt = performance.now() + options.durationMs;
  const harmMs = shareOf(options);
  for (let pass = 0; pass === 0 || performance.now() < endAt; pass++) {
    for (const experiment of options.experiments) {
      if (options.stop.aborted || (pass > 0 && performance.now() > endAt)) return rounds;
      for (const round of await runExperiment(options, { experiment, pass, harmMs })) {
        rounds.push(round);
      }
    }
  }
  return rounds;
}

/** How long one round of an experiment may do harm, so that at least one round of each fits. */
function shareOf({ experiments, durationMs, mutant }: CampaignOptions): number {
  const mutants = mutant ? 1 : experiments.flatMap(({ mutants }) => Object.keys(mutants)).length;
  const shareMs = (durationMs - mutants * MUTANT_MS) / experiments.length;
  const passes = Math.max(1, Math.ceil(shareMs / ROUND_MS_MAX));
  // Timers take whole milliseconds.
  return Math.max(HARM_MS_MIN, Math.floor(shareMs / passes - OVERHEAD_MS));
}

async function runExperiment(
  { server, seed, mutant, door, onRound }: CampaignOptions,
  { experiment, pass, harmMs }: { experiment: Experiment; pass: number; harmMs: number },
): Promise<Round[]> {
  const rounds: Round[] = [];
  const run = async (variant: string | null, roundSeed: number) => {
    const durationMs = variant === null ? harmMs : HARM_MS_MIN;
    const round = await runRound({
      server,
      experiment,
      mutant: variant,
      door,
      seed: roundSeed,
      durationMs,
    });
    rounds.push(round);
    onRound(round);
    return round;
  };
  if (mutant === undefined) await run(null, seed + pass);
  const mutants = Object.keys(experiment.mutants).filter((name) => !mutant || name === mutant);
  for (const name of pass === 0 ? mutants : []) {
    // The fault has an effect within seconds only by chance.
    for (let attempt = 0; attempt < MUTANT_ATTEMPTS; attempt++) {
      const { isCaught } = await run(name, seed + attempt);
      if (isCaught) break;
    }
  }
  return rounds;
}

const HARM_MS_MIN = 2000;
const ROUND_MS_MAX = 20_000;
/** The rest of a round: starting, waiting for what is missing, checking. */
const OVERHEAD_MS = 2000;
const MUTANT_MS = 5000;
const MUTANT_ATTEMPTS = 8;
