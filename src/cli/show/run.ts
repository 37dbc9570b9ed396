import type { ClientBase } from 'pg';
import { tableText } from '../../capture/table-name.ts';
import { PgwatchError } from '../../errors.ts';
import { type Answer, ownReason } from '../../inspect/why/decide.ts';
import { explain } from '../../inspect/why/explain.ts';
import { describeReason } from '../../inspect/why/reason-text.ts';
import { answerReport } from '../../inspect/why/report.ts';
import { field, timeField } from '../../lines.ts';
import { findIdsByEventId, findNotifications, type StoredNotification } from '../../log/find.ts';
import { colorsFor } from '../../reporter.ts';
import { countOf, someOf } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { payloadField } from '../detail.ts';
import { idsFrom, UUID } from '../ids.ts';
import { reporterFor, splitList } from '../options.ts';
import { paragraph } from '../paragraph.ts';
import { printJson } from '../table.ts';
import type { ShowOptions } from './options.ts';

/** A notification, with the answers of "why" for the consumers it is meant for. */
type Shown = StoredNotification & { answers: Answer[] };

/**
 * Prints notifications by their ids.
 * @throws PgwatchError usage; notification_unknown, after printing the others
 */
export async function showNotification(
  texts: readonly string[],
  options: ShowOptions,
): Promise<void> {
  const asked = splitList(texts) ?? [];
  const eventIds = asked.filter((text) => UUID.test(text));
  const others = texts.map((text) =>
    (splitList([text]) ?? []).filter((part) => !UUID.test(part)).join(','),
  );
  const ids = idsFrom(others.filter((text) => text !== '')) ?? [];
  if (asked.length === 0) throw new PgwatchError('usage', 'Give the id of a notification.');
  await withDatabase(options, { mode: 'read' }, async (client, config) => {
    const { schema } = config;
    const unknown: string[] = [];
    const byEventId = await lookUp(client, schema, eventIds, { options, unknown });
    const shown: Shown[] = [];
    for (const found of await findNotifications(client, schema, [...ids, ...byEventId])) {
      const { id } = found.notification;
      const { answers } = await explain(client, config, { id, consumerId: null });
      shown.push({ ...found, answers: answers.filter(isMeant) });
    }
    unknown.push(
      ...ids.filter((id) => !shown.some(({ notification }) => notification.id === id)).map(String),
    );
    if (options.json) printJson(shown.map(toJson));
    else if (shown.length > 0) process.stdout.write(`${shown.map(textOf).join('\n\n')}\n`);
    if (unknown.length > 0) throw unknownError(unknown);
  });
}

async function lookUp(
  client: ClientBase,
  schema: string,
  eventIds: readonly string[],
  { options, unknown }: { options: ShowOptions; unknown: string[] },
): Promise<number[]> {
  const found: number[] = [];
  const since = options.since ?? null;
  if (eventIds.some((id) => DERIVED.test(id)) && since === null) {
    reporterFor(options).info(
      'Searching the whole log for a derived event id; --since reads less of it.',
    );
  }
  for (const eventId of eventIds) {
    const ids = await findIdsByEventId(client, schema, { eventId, since });
    if (ids.length === 0) unknown.push(eventId);
    found.push(...ids);
  }
  return found;
}

function toJson({ notification, answers, ...stored }: Shown): Record<string, unknown> {
  const { isReplay, attempt, payload, unreadable, ...shown } = notification.toJSON();
  const consumers = answers.map((answer) => answerReport(answer, notification.id));
  const content = unreadable === undefined ? { payload } : { payload, unreadable };
  return { ...shown, ...stored, ...content, consumers };
}

function textOf({ notification, answers, ...stored }: Shown): string {
  const colors = colorsFor(process.stdout);
  const { id, eventId, channel, key, createdAt } = notification;
  const { xid, action, table, bytes, source } = stored;
  return [
    colors.bold(`Notification ${id}`),
    field('channel', channel),
    field('key', key ?? '-'),
    field('event id', eventId),
    timeField('created', createdAt),
    field('transaction', xid),
    ...(action === null ? [] : [field('action', action)]),
    ...(table === null ? [] : [field('table', tableText(table))]),
    ...(bytes === null ? [] : [field('size', countOf(bytes, 'byte'))]),
    ...(source === 'log'
      ? []
      : [field('found', 'no longer in the log; this is the copy in a dead letter')]),
    payloadField(notification),
    field('consumers', answers.length === 0 ? 'none reads its channel' : ''),
    ...answers.map((answer) => paragraph(answerText(answer, id), 4)),
  ].join('\n');
}

function isMeant(answer: Answer): boolean {
  const code = ownReason(answer)?.code;
  return code !== 'filtered' && code !== 'gone';
}

/** 'email: It has been a dead letter since …'. */
function answerText(answer: Answer, id: number): string {
  const reason = ownReason(answer);
  const sentence = reason ? describeReason(reason, id, answer.consumerId).sentence : '';
  return `${answer.consumerId}: ${sentence}`;
}

function unknownError(unknown: readonly string[]): PgwatchError {
  const id = unknown.find((text) => !UUID.test(text));
  const advice = id === undefined ? '' : ` "pgwatch why ${id}" explains.`;
  return new PgwatchError(
    'notification_unknown',
    `There is no notification ${someOf(unknown)}: it never committed, has not committed yet, ` +
      `or has been removed from the log.${advice}`,
  );
}

/** See notification_event_id(). */
const DERIVED = /^.{14}8.{4}8/;
