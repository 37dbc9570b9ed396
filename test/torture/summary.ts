import { FINDINGS, type Finding } from './history/check.ts';
import type { Round } from './round.ts';

/** The result of a campaign, for programs. */
export type Summary = {
  notifications: number;
  faults: Record<string, number>;
  /** The number of rounds without a mutant, by door. */
  doors: Record<string, number>;
  lost: number;
  phantom: number;
  duplicateEffects: number;
  inversions: number;
  overlaps: number;
  wronglyDead: number;
  setbacks: number;
  mutants: { caught: number; of: number; missed: string[] };
  /** Rounds in which something else failed. */
  failures: number;
  skipped: string[];
  seed: number;
};

/** Adds up the rounds. */
export function summarize(
  rounds: readonly Round[],
  { seed, skipped }: { seed: number; skipped: string[] },
): Summary {
  const clean = rounds.filter(({ mutant }) => mutant === null);
  const count = (kind: Finding) =>
    clean.reduce((total, { verdict }) => total + verdict[kind].length, 0);
  const faults: Record<string, number> = {};
  for (const [kind, times] of clean.flatMap((round) => [...round.faults])) {
    faults[kind] = (faults[kind] ?? 0) + times;
  }
  const doors = Map.groupBy(clean, ({ door }) => door);
  const mutants = Map.groupBy(
    rounds.filter(({ mutant }) => mutant !== null),
    ({ experiment, mutant }) => `${experiment}: ${mutant}`,
  );
  const missed = [...mutants]
    .filter(([, attempts]) => attempts.every(({ isCaught }) => !isCaught))
    .map(([name]) => name);
  return {
    notifications: clean.reduce((total, { verdict }) => total + verdict.notifications, 0),
    faults,
    doors: Object.fromEntries([...doors].map(([door, { length }]) => [door, length])),
    lost: count('lost'),
    phantom: count('phantom'),
    duplicateEffects: count('duplicateEffects'),
    inversions: count('inversions'),
    overlaps: count('overlaps'),
    wronglyDead: count('wronglyDead'),
    setbacks: count('setbacks'),
    mutants: { caught: mutants.size - missed.length, of: mutants.size, missed },
    failures: clean.filter(({ failures }) => failures.length > 0).length,
    skipped,
    seed,
  };
}

/** Whether every promise was kept and every mutant caught. */
export function isPassed(summary: Summary): boolean {
  const faults = FINDINGS.reduce((sum, kind) => sum + summary[kind], summary.failures);
  return faults === 0 && summary.mutants.missed.length === 0;
}

/** The summary in one line. */
export function describeSummary(summary: Summary): string {
  const kinds = Object.entries(summary.faults).filter(([, times]) => times > 0);
  const doors = Object.entries(summary.doors);
  const total = kinds.reduce((sum, [, times]) => sum + times, 0);
  return [
    `${summary.notifications} notifications`,
    `${total} faults (${timesOf(kinds)})`,
    `doors ${timesOf(doors)}`,
    `lost ${summary.lost}`,
    `phantom ${summary.phantom}`,
    `duplicate effects ${summary.duplicateEffects} (same-transaction)`,
    `inversions ${summary.inversions}`,
    `overlaps ${summary.overlaps}`,
    `wrongly dead ${summary.wronglyDead}`,
    `setbacks ${summary.setbacks}`,
    `mutants caught ${summary.mutants.caught} of ${summary.mutants.of}`,
    ...(summary.failures > 0 ? [`FAILED rounds ${summary.failures}`] : []),
    ...(summary.skipped.length > 0 ? [`SKIPPED ${summary.skipped.join(', ')}`] : []),
    `seed ${summary.seed}`,
  ].join(' · ');
}

/** A line for one round; more if something is wrong. */
export function describeRound(round: Round): string {
  const { experiment, mutant, seed, door, verdict, isCaught, faults, failures, folder, latencyMs } =
    round;
  const findings = FINDINGS.map((kind) => [kind, verdict[kind]] as const);
  const wrong = findings.filter(([, found]) => found.length > 0);
  const counts = wrong.map(([kind, found]) => `${kind} ${found.length}`).join(', ') || 'clean';
  if (mutant !== null) {
    return `  ${isCaught ? 'caught' : 'MISSED'} "${mutant}" (${door}): ${counts}`;
  }
  const latency = latencyMs === null ? '' : `, neighbours waited ${Math.round(latencyMs)} ms`;
  const harm = timesOf([...faults]);
  const collateral = verdict.collateral.length;
  const line =
    `${experiment} (seed ${seed}, ${door}): ${verdict.notifications} notifications, ` +
    `${harm || 'no faults'}: ${counts}, handled again ${verdict.repeated}${latency}` +
    `${collateral > 0 ? `, died with others ${collateral}` : ''}`;
  if (folder === null) return line;
  const examples = wrong.flatMap(([kind, found]) =>
    found.slice(0, 5).map((what) => `  ${kind}: ${what}`),
  );
  const again = `--seed ${seed} --only ${experiment} --door ${door}`;
  const replay = `  The history is in ${folder}; again with ${again}`;
  return [line, ...examples, ...failures.map((what) => `  failed: ${what}`), replay].join('\n');
}

function timesOf(counts: readonly (readonly [string, number])[]): string {
  return counts.map(([what, times]) => `${times} × ${what}`).join(', ');
}
