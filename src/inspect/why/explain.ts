import type { Config } from '../../config/define.ts';
import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';
import { findRestored } from '../../log/origin.ts';
import { type Answer, decide } from './decide.ts';
import { readFacts } from './facts.ts';
import { findNotification, type Presence } from './presence.ts';

/** Where a notification is, and what has become of it at each consumer. */
export type Explanation = {
  presence: Presence;
  /** Null if the log was written by this cluster. Otherwise what is wrong: no daemon runs on it. */
  restored: string | null;
  answers: Answer[];
};

/**
 * Explains why a notification has or has not arrived at one consumer, or at each of them in order
 * of their ids. Changes nothing.
 */
export async function explain(
  client: Queryable,
  config: Config,
  { id, consumerId }: { id: number; consumerId: string | null },
): Promise<Explanation> {
  const { schema } = config;
  const restored = await findRestored(client, config);
  const presence = await findNotification(client, schema, id);
  const entry = presence.code === 'present' ? presence.entry : null;
  const asked = { entry, consumerId, id, seenMax: SEEN_MAX };
  const facts = await readFacts(client, schema, asked);
  const log = {
    isPresent: entry !== null,
    pageRows: config.maxBatchSize,
    isRestored: restored !== null,
  };
  const answers = [
    ...facts.map((each) => decide(each, log)),
    ...(await unregistered(client, schema, { id, consumerId })),
  ].sort((a, b) => (a.consumerId < b.consumerId ? -1 : 1));
  return { presence, restored, answers };
}

/** Deliveries outlive a consumer whose row was deleted. */
async function unregistered(
  client: Queryable,
  schema: string,
  { id, consumerId }: { id: number; consumerId: string | null },
): Promise<Answer[]> {
  const { rows } = await client.query<{ consumerId: string }>(
    `select consumer_id as "consumerId" from ${qualified(schema, 'delivery')}
     where notification_id = $1 and ($2::text is null or consumer_id = $2) and consumer_id not in (
       select consumer_id from ${qualified(schema, 'consumer_progress')})`,
    [id, consumerId],
  );
  const reasons: Answer['reasons'] = [{ code: 'unregistered' }];
  return rows.map((row) => ({ ...row, isArrived: false, isExpected: true, reasons }));
}

/** Counting this many notifications takes a fraction of a second. */
const SEEN_MAX = 100_000;
