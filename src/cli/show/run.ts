import type { ClientBase } from 'pg';
import { tableText } from '../../capture/table-name.ts';
import { PgwatchError } from '../../errors.ts';
import { type OutcomeAt, readOutcomes } from '../../inspect/outcomes.ts';
import { field, indented, onOneLine, timeField } from '../../lines.ts';
import { findIdsByEventId, findNotifications, type StoredNotification } from '../../log/find.ts';
import { colorsFor } from '../../reporter.ts';
import { ageText, countOf, errorText, someOf } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { describeState } from '../describe.ts';
import { payloadField } from '../detail.ts';
import { idsFrom, UUID } from '../ids.ts';
import { type CommonOptions, reporterFor, splitList } from '../options.ts';
import { cutToWidth, printJson, stdoutColumns } from '../table.ts';

type ShowOptions = CommonOptions & { since?: Date; json?: boolean };

type Shown = StoredNotification & { outcomes: OutcomeAt[] };

/**
 * Prints notifications by their ids.
 * @throws PgwatchError usage; notification_unknown once the others are printed
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
  await withDatabase(options, { mode: 'read' }, async (client, { schema }) => {
    const unknown: string[] = [];
    const byEventId = await lookUp(client, schema, eventIds, { options, unknown });
    const shown: Shown[] = [];
    for (const found of await findNotifications(client, schema, [...ids, ...byEventId])) {
      shown.push({ ...found, outcomes: await readOutcomes(client, schema, found.notification.id) });
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
      'Looking for a derived event id in all of the log. --since reads less of it.',
    );
  }
  for (const eventId of eventIds) {
    const ids = await findIdsByEventId(client, schema, { eventId, since });
    if (ids.length === 0) unknown.push(eventId);
    found.push(...ids);
  }
  return found;
}

function toJson({ notification, outcomes, ...stored }: Shown): Record<string, unknown> {
  const { isReplay, attempt, payload, unreadable, ...shown } = notification.toJSON();
  const consumers = outcomes.map(({ reason: _, ...outcome }) => outcome);
  const content = unreadable === undefined ? { payload } : { payload, unreadable };
  return { ...shown, ...stored, ...content, consumers };
}

function textOf({ notification, outcomes, ...stored }: Shown): string {
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
    ...(source === 'log' ? [] : [field('found', 'no longer in the log: a copy of a dead letter')]),
    payloadField(notification),
    field('consumers', outcomes.length === 0 ? 'none reads its channel' : ''),
    ...outcomes.map((outcome) => cutToWidth(outcomeLine(outcome), stdoutColumns())),
  ].join('\n');
}

/** '    email: dead, failed 2 h ago, after 5 attempts: TypeError: x is not a function'. */
function outcomeLine(outcome: OutcomeAt): string {
  const { consumerId, attempts, lastFailedAt, lastError } = outcome;
  const failed = lastFailedAt
    ? `, failed ${ageText(lastFailedAt)}, after ${countOf(attempts, 'attempt')}: ${errorText(lastError)}`
    : '';
  return indented(onOneLine(`${consumerId}: ${stateText(outcome)}${failed}`));
}

function stateText(outcome: OutcomeAt): string {
  const { state } = outcome;
  if (state === 'retry' || state === 'blocked' || state === 'dead') {
    const behind = state === 'blocked' ? ' by an earlier notification of its key' : '';
    return `${describeState({ ...outcome, state })}${behind}`;
  }
  if (state === 'before_channel') {
    return 'published before it read this channel: delivered only by a replay';
  }
  return state.replaceAll('_', ' ');
}

function unknownError(unknown: readonly string[]): PgwatchError {
  const id = unknown.find((text) => !UUID.test(text));
  const advice = id === undefined ? '' : ` "pgwatch why ${id}" tells more.`;
  return new PgwatchError(
    'notification_unknown',
    `There is no notification ${someOf(unknown)}: it was never committed, or is not yet, or was removed from the log.${advice}`,
  );
}

/** See notification_event_id(). */
const DERIVED = /^.{14}8.{4}8/;
