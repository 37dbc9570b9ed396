import { type CaptureState, readCaptureStates } from '../../capture/state.ts';
import { tableText } from '../../capture/table-name.ts';
import { blindSpots, foreignCastsText } from '../../capture/warnings.ts';
import { shellWord } from '../../shell-word.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson, printTable } from '../table.ts';
import type { ListOptions } from './options.ts';

/** Prints the state of the captured tables. */
export async function listTriggers(options: ListOptions, outcome: CommandResult): Promise<void> {
  const states = await withDatabase(options, { mode: 'read' }, (client, config) =>
    readCaptureStates(client, config),
  );
  const hasFinding = states.some(
    ({ stale, disabled, losses, table }) =>
      stale.length + disabled.length + losses.length + table.foreignCasts.length > 0,
  );
  outcome.exitCode = hasFinding ? 1 : 0;
  if (options.json) return printJson(states.map(toJson));
  if (states.length === 0) {
    reporterFor(options).info('No tables are captured. Start with "pgwatch trigger add users".');
    return;
  }
  printTable(
    ['TABLE', 'STATE', 'CHANNEL', 'OPERATIONS', 'FOR EACH', 'OPTIONS'],
    states.map((state) => [
      tableText(state.table),
      stateText(state),
      state.options.channel ?? '-',
      operationsText(state),
      levelOf(state),
      optionsText(state),
    ]),
  );
  for (const finding of states.flatMap(findingsOf)) reporterFor(options).warn(finding);
}

/** What should be done about a table, in sentences. */
function findingsOf({ table, stale, disabled, losses }: CaptureState): string[] {
  const name = tableText(table);
  const enable = disabled.map((trigger) => `"${trigger}"`).join(', ');
  return [
    ...(table.foreignCasts.length > 0 ? [foreignCastsText(table)] : []),
    ...losses.map(({ sentence }) => `${sentence} ${remedyOf(name)}`),
    ...(stale.length > 0
      ? [`${name} is stale: ${stale.join('; ')}. "pgwatch trigger add" or sync updates it.`]
      : []),
    ...blindSpots(table),
    ...(disabled.length > 0
      ? [
          `${name} is not captured by ${enable}, which is disabled, or fires only in ` +
            'replication: alter table … enable trigger.',
        ]
      : []),
  ];
}

function remedyOf(name: string): string {
  const word = shellWord(name);
  return (
    `Run "pgwatch trigger add ${word}", ` +
    `then "pgwatch snapshot ${word} --consumer ID" for each consumer.`
  );
}

function toJson(state: CaptureState): Record<string, unknown> {
  const { table, options, existing, isByHand, disabled, stale, losses } = state;
  return {
    schema: table.schema,
    table: table.name,
    options,
    forEach: levelOf(state),
    byHand: isByHand,
    triggers: existing.triggers.map(({ name }) => name),
    disabled,
    stale,
    losses: losses.map(({ kind, sentence }) => ({ kind, message: sentence })),
    foreignCasts: table.foreignCasts,
  };
}

function levelOf({ existing }: CaptureState): 'row' | 'statement' {
  return existing.triggers.some(({ isRow }) => isRow) ? 'row' : 'statement';
}

function operationsText({ options: { operations = [] } }: CaptureState): string {
  return operations.length === 4 ? 'all' : operations.join(',');
}

function stateText({ disabled, stale, losses, isByHand, existing }: CaptureState): string {
  if (losses.length > 0) return 'losing';
  if (disabled.length > 0) {
    return disabled.length === existing.triggers.length ? 'disabled' : 'partly disabled';
  }
  return stale.length > 0 ? 'stale' : isByHand ? 'by hand' : 'current';
}

function optionsText({ options }: CaptureState): string {
  const { channel, operations, ...others } = options;
  const texts = Object.entries(others).map(
    ([name, value]) => `${name} ${Array.isArray(value) ? value.join(',') : value}`,
  );
  return texts.join('; ') || '-';
}
