import { field, onOneLine } from '../../lines.ts';
import type { SeekPlan } from '../../log/by-hand/seek-plan.ts';
import { colorsFor } from '../../reporter.ts';
import { countOf } from '../../words.ts';

/**
 * Describes for people what a seek would do.
 * @param asked.live whether it is allowed while a daemon runs the consumer
 */
export function describePlan(
  consumerId: string,
  plan: SeekPlan,
  asked: { live?: boolean },
): string {
  const { fromId, toId, oldestId, newestId, again, skipped, isExact } = plan;
  const colors = colorsFor(process.stdout);
  const count = (found: number) =>
    `${isExact ? '' : 'more than '}${countOf(found, 'notification')} on its channels`;
  const direction = toId < fromId ? 'back' : toId > fromId ? 'forward' : 'no move';
  return [
    colors.bold(onOneLine(consumerId)),
    field('position', `${fromId} → ${toId} (${direction})`),
    ...(toId < fromId ? [field('again', count(again))] : []),
    ...(toId > fromId ? [field('skipped', `${count(skipped)}, never delivered`)] : []),
    ...standing(consumerId, plan),
    field('log', newestId === null ? 'is empty' : `ids ${oldestId} to ${newestId}`),
    ...(oldestId !== null && toId < fromId && toId + 1 < oldestId && fromId >= oldestId
      ? [field('', `notifications before ${oldestId} are gone and cannot be repeated`)]
      : []),
    field('running', running(plan, asked)),
    ...(plan.isStopped
      ? [
          field(
            'stopped',
            'at a dead letter, until it is retried or discarded: ' +
              `pgwatch dlq list --consumer ${consumerId}`,
          ),
        ]
      : []),
  ].join('\n');
}

function standing(consumerId: string, { fromId, toId, dead, waiting, leased }: SeekPlan): string[] {
  const isBack = toId < fromId;
  return [
    ...(waiting > 0
      ? [
          field(
            'waiting',
            isBack
              ? `${number(waiting)} in between wait for a retry, and are repeated with the others`
              : `${number(waiting)} in between wait for a retry, and are still retried`,
          ),
        ]
      : []),
    ...(dead > 0
      ? [
          field(
            'dead',
            isBack
              ? `${countOf(dead, 'dead letter')} in between, repeated with the others`
              : `${countOf(dead, 'dead letter')} in between, left alone: ` +
                  `pgwatch dlq list --consumer ${consumerId}`,
          ),
        ]
      : []),
    ...(leased > 0
      ? [field('leased', `${number(leased)} are already leased; handlers that have started finish`)]
      : []),
  ];
}

function running({ isLive, isShared }: SeekPlan, { live }: { live?: boolean }): string {
  if (!isLive) return 'no daemon runs it';
  const who = isShared ? 'daemons share it' : 'a daemon runs it';
  return live ? who : `${who}: requires --live`;
}

function number(value: number): string {
  return value.toLocaleString('en');
}
