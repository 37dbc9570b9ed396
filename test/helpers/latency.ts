/** Percentiles of durations, for printing. */
export function describeLatencies(what: string, latenciesMs: readonly number[]): string {
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2);
  return (
    `${what}: ${sorted.length} × commit to handler, median ${at(0.5)} ms, ` +
    `99th percentile ${at(0.99)} ms, slowest ${at(1)} ms`
  );
}
