import type { ClientBase } from 'pg';
import type { Names } from '../database/names.ts';
import { PgwatchError } from '../errors.ts';
import { channelTest } from '../log/channels.ts';
import { readChannels } from '../log/positions/progress.ts';
import { shellWord } from '../shell-word.ts';
import {
  argumentsOf,
  type ExistingTrigger,
  excludedBy,
  readCaptures,
  rowPublishers,
} from './existing.ts';
import type { Table } from './table.ts';
import { tableText } from './table-name.ts';

/** How the rows of a table are published. */
export type RowCapture = {
  channel: string;
  /** The schema and name that the payload and the key contain. */
  place: readonly [schema: string, name: string];
  id: readonly string[];
  key: readonly string[];
  exclude: readonly string[];
  payload: string;
  fold: Readonly<Record<string, string>> | null;
  /** The condition for changes; null: none. */
  when: string | null;
};

/**
 * Reads how a table publishes rows now. If manually created triggers differ, those count whose
 * channel the consumer reads.
 * @throws PgwatchError table_unsuitable if the table is not captured, or its triggers contradict
 *   each other
 */
export async function readRowCapture(
  client: ClientBase,
  names: Names,
  table: Table,
  consumerId: string,
): Promise<RowCapture> {
  const [capture] = await readCaptures(client, names, [table.oid]);
  const triggers = capture?.triggers ?? [];
  const publishers = rowPublishers(triggers);
  const trigger =
    oneOf(publishers) ??
    oneOf(await readBy(client, names.schema, consumerId, publishers)) ??
    refuse(table, publishers);
  const found = argumentsOf(trigger);
  const { schema, name } = table.root ?? table;
  const id = found.id ?? table.primaryKey;
  return {
    channel: channelOf(trigger),
    place: found.table ?? [schema, name],
    id,
    key: found.key ?? id,
    exclude: excludedBy(triggers),
    payload: found.payload ?? 'full',
    fold: found.fold ?? null,
    when: found.when ?? null,
  };
}

/** The first, if all of them publish rows in the same way. */
function oneOf(triggers: readonly ExistingTrigger[]): ExistingTrigger | undefined {
  const [first] = triggers;
  const isLikeFirst = ({ args }: ExistingTrigger) => String(args) === String(first?.args);
  return triggers.every(isLikeFirst) ? first : undefined;
}

async function readBy(
  client: ClientBase,
  schema: string,
  consumerId: string,
  triggers: readonly ExistingTrigger[],
): Promise<ExistingTrigger[]> {
  const channels = await readChannels(client, schema, consumerId);
  return triggers.filter((trigger) => channelTest(channels)(channelOf(trigger)));
}

function channelOf({ args }: ExistingTrigger): string {
  return args[0] ?? 'data_change';
}

/** @throws always */
function refuse(table: Table, triggers: readonly ExistingTrigger[]): never {
  const name = tableText(table);
  throw new PgwatchError(
    'table_unsuitable',
    triggers.length === 0
      ? `${name} is not captured, so its rows would soon be out of date:` +
          ` run "pgwatch trigger add ${shellWord(name)}" first.`
      : `The triggers ${triggers.map((each) => JSON.stringify(each.name)).join(', ')} publish` +
          ` rows of ${name} in different ways, and a snapshot cannot tell which one to follow:` +
          ' give them the same arguments.',
  );
}
