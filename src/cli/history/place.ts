import type { ClientBase } from 'pg';
import { tableText } from '../../capture/table-name.ts';
import type { Config } from '../../config/define.ts';
import { PgwatchError } from '../../errors.ts';
import { type Period, readRowChanges } from '../../inspect/history/read.ts';
import type { Subject } from '../../inspect/history/subject.ts';
import { type RowVersion, versionsOf } from '../../inspect/history/versions.ts';
import type { HistoryOptions } from './options.ts';

/** The row whose history is asked for, and the connection to read it. */
export type HistoryPlace = {
  client: ClientBase;
  config: Config;
  subject: Subject;
  options: HistoryOptions;
};

/** The columns in the order of the table. */
export function orderOf({ table }: Subject): string[] {
  return table?.columns.map(({ name }) => name) ?? [];
}

/**
 * The versions of the row, from --since on.
 * @throws PgwatchError usage if several schemas have tables of that name
 */
export async function* versions(
  { client, config, subject, options }: HistoryPlace,
  { until }: Pick<Period, 'until'>,
): AsyncGenerator<RowVersion> {
  const period = { since: options.since ?? null, until };
  const rows = readRowChanges(client, config.schema, subject, period);
  let first: RowVersion | undefined;
  for await (const version of versionsOf(rows, subject.table?.captureKey)) {
    first ??= version;
    if (version.schema !== first.schema) {
      const [one, other] = [first, version].map(({ schema, table: name }) =>
        tableText({ schema, name }),
      );
      throw new PgwatchError(
        'usage',
        `The log has both ${one} and ${other}: give the name with its schema.`,
      );
    }
    yield version;
  }
}
