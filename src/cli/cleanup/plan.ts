import type { Planned } from '../../log/retention/plan.ts';
import { bytesText } from '../../words.ts';
import { printTable, stdoutColumns } from '../table.ts';
import { partitionText } from './partition-text.ts';

/** Prints what would be done as a table: one partition per line, then the total. */
export function printPlan(plans: readonly Planned[], isForced: boolean): void {
  const rows = plans.map((plan) => [
    partitionText(plan.partition),
    countText(plan),
    plan.isWhole ? bytesText(plan.partition.bytes) : '-',
    outcomeText(plan, isForced),
  ]);
  const free = isForced
    ? plans
    : plans.filter(({ pins, isWhole }) => !isWhole || pins.length === 0);
  const total = free.reduce((sum, plan) => sum + (isForced ? plan.count : freeCount(plan)), 0);
  const bytes = free.reduce((sum, plan) => sum + (plan.isWhole ? plan.partition.bytes : 0), 0);
  const isAbout = free.some(({ isEstimate, pins }) => isEstimate || (!isForced && pins.length > 0));
  const sum = ['to be removed', `${isAbout ? '~' : ''}${total.toLocaleString('en')}`];
  printTable(
    ['PARTITION', 'NOTIFICATIONS', 'SIZE', 'OUTCOME'],
    [...rows, [...sum, bytesText(bytes), '']],
  );
}

/** The plan for programs. */
export function planJson(plans: readonly Planned[], before: Date): Record<string, unknown> {
  return {
    dryRun: true,
    before,
    partitions: plans.map(({ partition, count, isEstimate, isWhole, pins }) => ({
      partition: partition.name,
      from: partition.starts,
      until: partition.ends,
      notifications: count,
      isEstimate,
      bytes: partition.bytes,
      outcome: pins.length > 0 ? 'pinned' : isWhole ? 'drop' : 'delete',
      pinnedBy: pins,
    })),
  };
}

/**
 * How many notifications are removed at least from a partition that is kept. Consumers may need
 * the same ones, so the counts of their needs are an upper bound.
 */
function freeCount({ count, pins }: Planned): number {
  return pins.reduce((rest, pin) => Math.max(0, rest - (pin.count ?? 0)), count);
}

function countText({ count, isEstimate }: Planned): string {
  return `${isEstimate ? '~' : ''}${count.toLocaleString('en')}`;
}

function outcomeText({ pins, isWhole }: Planned, isForced: boolean): string {
  const verb = isWhole ? 'drop' : 'delete';
  if (pins.length === 0) return verb;
  const isWide = stdoutColumns() >= 120;
  const needs = pins.map(({ consumerId, reason, count }) => {
    const about = count ? ` ${count.toLocaleString('en')}` : '';
    return isWide || reason !== 'position'
      ? `${consumerId} (${reason}${about})`
      : `${consumerId}${about && ` (${about.trim()})`}`;
  });
  const need = isWhole ? 'needed' : 'delete except what is needed';
  return `${isForced ? `${verb}, although needed` : need} by ${needs.join(', ')}`;
}
