import { relative } from 'node:path';
import type { Client } from 'pg';
import type { Consumer } from '../consumers/define.ts';
import { consumerChannel } from '../log/channels.ts';
import { readLags } from '../log/positions/lag.ts';
import { findLostConsumers, type LostConsumer } from '../log/positions/lost-consumers.ts';
import { noteFrom, registerConsumer } from '../log/positions/progress.ts';
import { shellWord } from '../shell-word.ts';
import { publishTransition } from '../transitions.ts';
import { countOf } from '../words.ts';
import type { Setup } from './session-options.ts';

type Options = Pick<Setup, 'config' | 'consumers' | 'knownIds' | 'reporter'>;

/**
 * Registers new consumers. Reports what a new consumer receives, and which lost consumer it may be
 * under another name. Warns if a file has changed "from" of a consumer that is already registered.
 */
export async function registerConsumers(options: Options, client: Client): Promise<void> {
  const { config, consumers, reporter } = options;
  for (const consumer of consumers) {
    const { id, fromText } = consumer;
    if (await registerConsumer(client, config.schema, consumer)) {
      publishTransition({ type: 'consumer_registered', consumerId: id });
      const from = consumer.from instanceof Date ? consumer.from.toISOString() : consumer.from;
      reporter.info(`${id} is new; it starts at ${from}.`, { consumer: id });
      await warnOfLost(options, client, consumer);
      continue;
    }
    const before = await noteFrom(client, config.schema, { consumerId: id, fromText });
    if (before === null) continue;
    const to = typeof consumer.from === 'object' ? consumer.from.toISOString() : consumer.from;
    reporter.warn(
      `${fileOf(consumer, 'The')} says from: ${fromText}; before, it said ${before}. ` +
        `"from" only applies to new consumers, so ${id} does not move. ` +
        `To move it: pgwatch seek ${shellWord(id)} --to ${to}`,
      { consumer: id },
    );
  }
}

async function warnOfLost(
  { config, consumers, knownIds, reporter }: Options,
  client: Client,
  consumer: Consumer,
): Promise<void> {
  const { id } = consumer;
  const channels = consumer.channels.filter((channel) => channel !== consumerChannel(id));
  const known = [...knownIds, ...consumers.map((each) => each.id)];
  const lost = await findLostConsumers(client, config.schema, { channels, knownIds: known });
  const [first] = lost;
  if (!first) return;
  const lag = (await readLags(client, config.schema, [id])).get(id) ?? { unread: 0, isExact: true };
  const count = `${lag.isExact ? '' : 'about '}${countOf(lag.unread, 'notification')}`;
  const gets = lag.unread > 0 ? ` and receives ${count} from the log` : '';
  const read = first.isSame ? 'the same channels' : 'some of its channels';
  const which = describeLost(lost, read, consumer);
  reporter.warn(`${id} is new${gets}. ${which} ${remedies(lost, consumer)}`, { consumer: id });
}

function describeLost(lost: readonly LostConsumer[], read: string, { file }: Consumer): string {
  const ids = lost.map(({ consumerId }) => consumerId);
  const more = ids.length - NAMED_MAX;
  const shown = more > 1 ? [...ids.slice(0, NAMED_MAX), `${more} others`] : ids;
  const [reads, has, is] = ids.length === 1 ? ['reads', 'has', 'is'] : ['read', 'have', 'are'];
  const gone = file === null ? `${is} not running` : `no longer ${has} a consumer file`;
  return `${LIST.format(shown)} ${reads} ${read} and ${gone}.`;
}

function remedies([only, ...others]: readonly LostConsumer[], consumer: Consumer): string {
  const { id } = consumer;
  const isOne = only !== undefined && others.length === 0;
  const it = isOne ? only.consumerId : 'one of them';
  const lost = isOne ? `id: '${only.consumerId}'` : 'its id';
  const old = isOne ? shellWord(only.consumerId) : 'OLD';
  const rename = `pgwatch consumers rename ${old} ${shellWord(id)}`;
  return (
    `If ${id} is ${it} under another name, put ${lost} into ${fileOf(consumer)}, ` +
    `or stop this process and run "${rename}".`
  );
}

/** Where it is defined, for people. */
function fileOf({ id, file }: Consumer, the = 'the'): string {
  return file === null ? `${the} definition of ${id}` : relative(process.cwd(), file);
}

const NAMED_MAX = 3;
const LIST = new Intl.ListFormat('en', { style: 'long', type: 'conjunction' });
