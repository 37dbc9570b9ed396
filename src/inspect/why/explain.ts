import type { Client } from 'pg';
import type { Config } from '../../config/define.ts';
import { findRestored } from '../../log/origin.ts';
import { type Answer, decide } from './decide.ts';
import { readFacts } from './facts.ts';
import { findNotification, type Presence } from './presence.ts';

/** Where a notification is. */
export type Explanation = {
  presence: Presence;
  /** Null: the log is this cluster's own. Else what is wrong: no daemon runs on it. */
  restored: string | null;
  answers: Answer[];
};

/**
 * Explains why a notification has or has not arrived at one consumer, or at each; changes nothing.
 */
export async function explain(
  client: Client,
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
  return { presence, restored, answers: facts.map((each) => decide(each, log)) };
}

/** To count what comes before a notification; takes a fraction of a second. */
const SEEN_MAX = 100_000;
