import type { Partition } from '../../log/retention/partitions.ts';

/** '2026-11-13', '2026-11-13T05' for an hour, 'the default partition'; else its name. */
export function partitionText({ name, starts, ends }: Partition): string {
  if (starts === null || ends === null) return 'the default partition';
  const iso = starts.toISOString();
  const spanMs = ends.getTime() - starts.getTime();
  if (spanMs === 86_400_000 && iso.endsWith('T00:00:00.000Z')) return iso.slice(0, 10);
  if (spanMs === 3_600_000 && iso.endsWith(':00:00.000Z')) return iso.slice(0, 13);
  return name;
}
