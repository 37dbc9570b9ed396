import { countOf } from '../../words.ts';

/** What is stored of a consumer besides its position. */
export type StoredCounts = {
  dead: number;
  retrying: number;
  blocked: number;
  leases: number;
  snapshots: number;
};

/** '2 dead letters, 1 lease'; empty if there is nothing. */
export function storedText(counts: StoredCounts, unread = 0): string {
  const parts = [
    [unread, 'unread notification'],
    [counts.dead, 'dead letter'],
    [counts.retrying + counts.blocked, 'waiting notification'],
    [counts.leases, 'lease'],
    [counts.snapshots, 'snapshot'],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, noun]) => countOf(count, noun))
    .join(', ');
}
