import pg from 'pg';
import { quotedTable, tableText } from '../../capture/table-name.ts';
import { explainTable, isTableFault, type TableReason } from '../../inspect/why/table.ts';
import { onOneLine } from '../../lines.ts';
import { colorsFor } from '../../reporter.ts';
import { shellWord } from '../../shell-word.ts';
import { withDatabase } from '../database.ts';
import type { CommandResult } from '../options.ts';
import { printJson } from '../table.ts';
import { findTables } from '../trigger/tables.ts';
import type { WhyOptions } from './options.ts';

/** Prints why changes of a table do not arrive; exit code 1 if there is a fault. */
export async function whyTable(
  text: string,
  options: WhyOptions,
  outcome: CommandResult,
): Promise<void> {
  const { name, sqlName, channel, reasons } = await withDatabase(
    options,
    { mode: 'read' },
    async (client, config) => {
      const [table] = await findTables(client, config, [text]);
      if (!table) throw new Error('findTables returns one or throws');
      const sqlName = quotedTable(table);
      return { name: tableText(table), sqlName, ...(await explainTable(client, config, table)) };
    },
  );
  outcome.exitCode = reasons.some(isTableFault) ? 1 : 0;
  const told = reasons.map((reason) => ({
    reason,
    ...describeTableReason(reason, { name, sqlName }),
  }));
  if (options.json) {
    return printJson({
      table: name,
      channel,
      reasons: told.map(({ reason, sentence, advice }) => ({
        ...reason,
        message: sentence,
        advice,
      })),
    });
  }
  const fine = `Its changes are published on ${channel}. "pgwatch why ID" explains a single one.`;
  const lines = told.flatMap(({ sentence, advice }) => [
    `  ${sentence}`,
    ...(advice === null ? [] : [`    → ${advice}`]),
  ]);
  if (outcome.exitCode === 0) lines.unshift(`  ${fine}`);
  const title = colorsFor(process.stdout).bold(onOneLine(name));
  process.stdout.write(`${[title, ...lines.map(onOneLine)].join('\n')}\n`);
}

function describeTableReason(
  reason: TableReason,
  { name, sqlName }: { name: string; sqlName: string },
): { sentence: string; advice: string | null } {
  switch (reason.code) {
    case 'not_captured':
      return {
        sentence: 'It is not captured: no trigger publishes its changes.',
        advice: `pgwatch trigger add ${shellWord(name)}`,
      };
    case 'lost':
      return {
        sentence: reason.losses.join(' '),
        advice:
          `pgwatch trigger add ${shellWord(name)}; ` +
          `then pgwatch snapshot ${shellWord(name)} --consumer ID`,
      };
    case 'disabled':
      return {
        sentence:
          `${reason.isAll ? 'All' : 'Some'} of its triggers are disabled, ` +
          `or fire only in replication: ${reason.triggers.join(', ')}.`,
        advice: reason.triggers
          .map((trigger) => `alter table ${sqlName} enable trigger ${pg.escapeIdentifier(trigger)}`)
          .join('; '),
      };
    case 'stale':
      return {
        sentence: `Its triggers no longer fit it: ${reason.differences.join('; ')}.`,
        advice: `pgwatch trigger sync, or pgwatch trigger add ${shellWord(name)}`,
      };
    case 'replica':
      return {
        sentence:
          'Ordinary triggers do not fire in sessions with session_replication_role = replica: ' +
          `${reason.scopes.join(', ')}.`,
        advice: `alter table ${sqlName} enable always trigger …, or reset the setting`,
      };
    case 'limited': {
      const { operations, columns, when } = reason.options;
      const limits = [
        ...(operations ? [`operations ${operations.join(', ')}`] : []),
        ...(columns ? [`updates of the columns ${columns.join(', ')}`] : []),
        ...(when === undefined ? [] : [`the condition ${when}`]),
      ];
      return { sentence: `Only some changes are captured: ${limits.join('; ')}.`, advice: null };
    }
    case 'unrung':
      return {
        sentence:
          'Its changes ring no doorbell (notify off): a daemon finds them at its next poll.',
        advice: null,
      };
  }
}
