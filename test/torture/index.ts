/*
Harms pgwatch in every known way, and counts the consequences:

  npm run torture -- --minutes 10 [--seed N] [--only NAME,…] [--mutant NAME] [--door NAME] [--json]

Each experiment runs with the right daemon, which may lose nothing, and with broken variants, each
of which must be caught. Progress is printed on stderr, the result as one line on stdout.
*/
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';
import { WORLD_DOORS } from './daemons/doors.ts';
import type { Experiment } from './experiment.ts';
import { EXPERIMENTS } from './experiments.ts';
import { TortureServer } from './server.ts';
import { describeRound, describeSummary, isPassed, summarize } from './summary.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    only: { type: 'string' },
    mutant: { type: 'string' },
    door: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const seed = Number(options.seed);
const chosen = chooseExperiments(options.only?.split(','), options.mutant);
const door = chooseDoor(options.door);
const experiments = chosen.filter(({ unavailable }) => !unavailable?.());
const skipped = chosen.filter((experiment) => !experiments.includes(experiment));
console.error(`seed ${seed}`);
for (const { name, unavailable } of skipped) console.error(`SKIPPED ${name}: ${unavailable?.()}`);

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    console.error('Ending after this round. Press Ctrl-C again to end now.');
    interrupt.abort();
  });
}
const server = await TortureServer.start();
try {
  const rounds = await runCampaign({
    server,
    experiments,
    mutant: options.mutant,
    door,
    seed,
    durationMs: Number(options.minutes) * 60_000,
    stop: interrupt.signal,
    onRound: (round) => console.error(describeRound(round)),
  });
  const summary = summarize(rounds, { seed, skipped: skipped.map(({ name }) => name) });
  console.log(options.json ? JSON.stringify(summary) : describeSummary(summary));
  process.exitCode = isPassed(summary) && !interrupt.signal.aborted ? 0 : 1;
} finally {
  await server.stop();
}

/** Throws on an unknown name or an invalid number. */
function chooseExperiments(names: string[] | undefined, mutant: string | undefined): Experiment[] {
  const known = EXPERIMENTS.map(({ name }) => name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown) throw new Error(`There is no experiment "${unknown}": ${known.join(', ')}.`);
  if (!Number.isSafeInteger(seed))
    throw new Error(`--seed must be a whole number, not ${options.seed}.`);
  if (!(Number(options.minutes) > 0)) throw new Error('--minutes must be a number above 0.');
  const found = EXPERIMENTS.filter(
    ({ name, mutants }) => (names?.includes(name) ?? true) && (!mutant || mutant in mutants),
  );
  if (found.length === 0) throw new Error(`There is no mutant "${mutant}".`);
  return found;
}

/** Throws on an unknown name. */
function chooseDoor(name: string | undefined) {
  const door = WORLD_DOORS.find((known) => known === name);
  if (name === undefined || door) return door;
  throw new Error(`There is no door "${name}": ${WORLD_DOORS.join(', ')}.`);
}
