import { type Command, Option } from 'commander';
import { checkTriggerOptions, OPERATIONS, type TriggerOptions } from '../../config/triggers.ts';
import { splitList } from '../options.ts';

/** The options of one capture, as on the command line. */
export type CaptureFlags = {
  channel?: string;
  operations?: string[];
  columns?: string[];
  exclude?: string[];
  payload?: string;
  when?: string;
  key?: string[];
  forEach?: string;
  notify?: string;
};

export function addCaptureOptions(command: Command): Command {
  return command
    .option('--channel <channel>', 'of the notifications (default: data_change)')
    .option('--operations <names...>', `some of ${OPERATIONS.join(',')} (default: all)`)
    .option('--columns <names...>', 'an update counts only if one of these has changed')
    .option('--exclude <names...>', 'columns that are never in a payload, like passwords')
    .addOption(
      new Option(
        '--payload <what>',
        'keys: of rows only the key; changed: of updates only that',
      ).choices(['full', 'keys', 'changed']),
    )
    .option('--when <sql>', 'a condition over the rows old and new')
    .option(
      '--key <names...>',
      'what has these columns in common keeps its order (default: the primary key)',
    )
    .addOption(
      new Option('--for-each <level>', 'how often the trigger runs (default: auto)').choices([
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
 * What the flags ask for.
 * @throws PgwatchError usage that names the flag
 */
export function triggerOptionsFrom(flags: CaptureFlags): TriggerOptions {
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
