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

/** '850 B', '4.2 MB', '12 GB'. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];
