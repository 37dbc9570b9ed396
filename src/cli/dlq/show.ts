import { PgwatchError } from '../../errors.ts';
import { field, indented, onOneLine, timeField } from '../../lines.ts';
import { type FiledDelivery, readDeliveries } from '../../log/deliveries/dead-letters.ts';
import type { ErrorRecord } from '../../log/deliveries/delivery.ts';
import { NO_FILTER } from '../../log/deliveries/filter.ts';
import type { LogNotification } from '../../log/notification.ts';
import { colorsFor, printable } from '../../reporter.ts';
import { countOf, errorText } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { describeState } from '../describe.ts';
import { describeNotification } from '../detail.ts';
import { idFrom } from '../ids.ts';
import { printJson } from '../table.ts';
import type { ShowOptions } from './options.ts';

/** Prints everything about a notification that a consumer failed to handle. */
export async function showDeadLetters(idText: string, options: ShowOptions): Promise<void> {
  const ids = [idFrom(idText)];
  const consumerIds = options.consumer === undefined ? null : [options.consumer];
  await withDatabase(
    options,
    { mode: 'read', consumers: consumerIds ?? [] },
    async (client, { schema }) => {
      const found = await readDeliveries(client, schema, { ...NO_FILTER, ids, consumerIds });
      if (found.length === 0) {
        throw new PgwatchError(
          'dead_letter_unknown',
          `Notification ${idText} is neither a dead letter nor waiting for a retry` +
            `${consumerIds ? ` at ${consumerIds}` : ''}: see "pgwatch dlq list --state all".`,
        );
      }
      if (options.json) return printJson(found.map(toJson));
      process.stdout.write(`${deliveryText(found)}\n`);
    },
  );
}

export type FoundDeadLetters = FiledDelivery & { notification: LogNotification | null };

function toJson({ notification, ...delivery }: FoundDeadLetters): Record<string, unknown> {
  if (!notification) return { ...delivery, notification };
  const { isReplay, attempt, ...shown } = notification.toJSON();
  return { ...delivery, notification: shown };
}

/** For people: the notification once, then each consumer. */
export function deliveryText(found: readonly FoundDeadLetters[]): string {
  const colors = colorsFor(process.stdout);
  const blocks = found.flatMap((delivery, index) => {
    const { id, notification } = delivery;
    const isShown = index > 0 && notification?.eventId === found[index - 1]?.notification?.eventId;
    const about = notification ? describeNotification(notification) : GONE;
    return [
      ...(isShown ? [] : [`${colors.bold(`Notification ${id}`)}\n${about}`]),
      `${colors.bold(onOneLine(headingOf(delivery)))}\n${describeFailures(delivery)}`,
    ];
  });
  return blocks.join('\n\n');
}

function headingOf(delivery: FiledDelivery): string {
  const { consumerId, state, attempts } = delivery;
  if (state === 'blocked')
    return `${consumerId}: blocked by an earlier notification with the same key`;
  return `${consumerId}: ${describeState(delivery)}, after ${countOf(attempts, 'attempt')}`;
}

function describeFailures(delivery: FiledDelivery): string {
  const { firstFailedAt, firstError, lastFailedAt, lastError } = delivery;
  if (!lastFailedAt) return field('failed', 'never');
  const isOnlyOne = firstFailedAt?.getTime() === lastFailedAt.getTime();
  const [first, last] = [detailedError(firstError), detailedError(lastError)];
  return [
    ...(isOnlyOne ? [] : [timeField('first failed', firstFailedAt)]),
    ...(isOnlyOne || first === last ? [] : [first]),
    timeField(isOnlyOne ? 'failed' : 'last failed', lastFailedAt),
    last,
  ].join('\n');
}

/** The name, the message and the code, then the part of the stack after the message. */
function detailedError(error: ErrorRecord | null): string {
  const { code, message = '', stack = '' } = error ?? {};
  const described = errorText(error);
  const head = code === undefined ? described : `${described} (${code})`;
  const start = `: ${message}`;
  const at = stack.indexOf(start);
  const calls = at < 0 ? stack : stack.slice(at + start.length);
  return indented(printable([head, ...calls.split('\n').filter((line) => line.trim())].join('\n')));
}

const GONE = '  It is no longer in the log.';
