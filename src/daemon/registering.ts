import { relative } from 'node:path';
import type { Client } from 'pg';
import type { Consumer } from '../consumers/define.ts';
import { countOf } from '../count-of.ts';
import { readLags } from '../log/lag.ts';
import { findLostConsumers } from '../log/lost-consumers.ts';
import { consumerChannel, noteFrom, registerConsumer } from '../log/progress.ts';
import { shellWord } from '../shell-word.ts';
import { publishTransition } from '../transitions.ts';
import type { SessionOptions } from './session-options.ts';

type Options = Pick<SessionOptions, 'config' | 'consumers' | 'knownIds' | 'reporter'>;

/**
 * Registers new consumers. Says what a new one gets, and of which it may be another name; and where a file
 * says of a consumer that began long ago that it is to begin elsewhere.
 */
export async function registerConsumers(options: Options, client: Client): Promise<void> {
  const { config, consumers, reporter } = options;
  for (const consumer of consumers) {
    const { id, fromText } = consumer;
    if (await registerConsumer(client, config.schema, consumer)) {
      publishTransition({ type: 'consumer_registered', consumerId: id });
      const from = consumer.from instanceof Date ? consumer.from.toISOString() : consumer.from;
      reporter.info(`${id} is new; it begins at ${from}.`, { consumer: id });
      await warnOfLost(options, client, consumer);
      continue;
    }
    const before = await noteFrom(client, config.schema, { consumerId: id, fromText });
    if (before === null) continue;
    const to = typeof consumer.from === 'object' ? consumer.from.toISOString() : consumer.from;
    reporter.warn(
      `${fileOf(consumer)} says from: ${fromText}, and said ${before} before. from is where a new consumer begins, so nothing changes for ${id}. To move it: pgwatch seek ${shellWord(id)} --to ${to}`,
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
  const names = lost.map(({ consumerId }) => consumerId).join(' and ');
  const read = first.isSame ? 'the same channels' : 'some of its channels';
  const [have, it] =
    lost.length === 1
      ? [`${names} reads ${read} and has`, first.consumerId]
      : [`${names} read ${read} and have`, 'one of them'];
  const ids = lost.map(({ consumerId }) => `id: '${consumerId}'`).join(' or ');
  const renames = lost.map(
    ({ consumerId }) => `"pgwatch consumers rename ${shellWord(consumerId)} ${shellWord(id)}"`,
  );
  reporter.warn(
    `${id} is new and gets ${count} that the log holds. ${have} no consumer file any more. If ${id} is ${it} under another name, put ${ids} into ${fileOf(consumer)}, or stop this process and run ${renames.join(' or ')}.`,
    { consumer: id },
  );
}

function fileOf({ file }: Consumer): string {
  return relative(process.cwd(), file);
}
