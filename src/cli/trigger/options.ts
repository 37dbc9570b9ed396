import { type Command, Option } from '@commander-js/extra-typings';
import { checkTriggerOptions, OPERATIONS, type TriggerOptions } from '../../config/triggers.ts';
import { addCommonOptions, type CommonOptions, type OptionsOf, splitList } from '../options.ts';

export type AddOptions = OptionsOf<typeof declareAdd>;
export type ListOptions = OptionsOf<typeof declareList>;
export type RemoveOptions = OptionsOf<typeof declareRemove>;
export type SqlOptions = OptionsOf<typeof declareSql>;
export type SyncOptions = OptionsOf<typeof declareSync>;
/** The options of one capture. */
export type CaptureOptions = Omit<OptionsOf<typeof addCaptureOptions>, keyof CommonOptions>;

export function declareAdd(trigger: Command) {
  return addCaptureOptions(addCommonOptions(trigger.command('add')))
    .argument('[tables...]', 'names of tables')
    .option('--all', 'every table of --schema')
    .option('--schema <names...>', 'with --all: of these schemas')
    .option('--except <tables...>', 'with --all: except these tables')
    .option('--reset', 'set options that are not given to their defaults')
    .option('--dry-run', 'print the SQL and change nothing');
}

export function declareList(trigger: Command) {
  return addCommonOptions(trigger.command('list')).option('--json', 'print JSON');
}

export function declareRemove(trigger: Command) {
  return addCommonOptions(trigger.command('remove'))
    .argument('<tables...>', 'names of tables')
    .option('--dry-run', 'print the SQL and change nothing');
}

export function declareSql(trigger: Command) {
  return addCaptureOptions(addCommonOptions(trigger.command('sql')))
    .argument('<tables...>', 'names of tables')
    .option('--reset', 'set options that are not given to their defaults')
    .option('--down', 'print the SQL that removes the triggers');
}

export function declareSync(trigger: Command) {
  return addCommonOptions(trigger.command('sync'))
    .option('--check', 'change nothing; exit code 1 if something would change')
    .option('--json', 'print the result as JSON');
}

function addCaptureOptions(command: Command<[], CommonOptions>) {
  return command
    .option('--channel <channel>', 'channel of the notifications (default: data_change)')
    .option('--operations <names...>', `some of ${OPERATIONS.join(',')} (default: all)`)
    .option('--columns <names...>', 'ignore updates that change none of these columns')
    .option('--exclude <names...>', 'columns to keep out of payloads, such as passwords')
    .addOption(
      new Option(
        '--payload <what>',
        'keys: only key columns; changed: only changed columns of an update',
      ).choices(['full', 'keys', 'changed']),
    )
    .option('--when <sql>', 'a condition on the rows old and new')
    .option(
      '--key <names...>',
      'columns that form the key; rows with equal keys stay in order (default: primary key)',
    )
    .addOption(
      new Option('--for-each <level>', 'how often the trigger fires (default: auto)').choices([
        'auto',
        'statement',
        'row',
      ]),
    )
    .addOption(
      new Option(
        '--notify <mode>',
        'whether writers NOTIFY (default: the setting, else doorbell)',
      ).choices(['always', 'doorbell', 'off']),
    );
}

/**
 * Returns the capture that the options ask for.
 * @throws PgwatchError usage, naming the option
 */
export function triggerOptionsFrom(flags: CaptureOptions): TriggerOptions {
  const { channel, payload, when, forEach, notify } = flags;
  const options = {
    channel,
    operations: splitList(flags.operations),
    columns: splitList(flags.columns),
    exclude: splitList(flags.exclude),
    payload,
    when,
    key: splitList(flags.key),
    forEach,
    notify,
  };
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  );
  const flagOf = (name: string) => (name === 'forEach' ? '--for-each' : `--${name}`);
  return checkTriggerOptions(given, flagOf, 'usage');
}
