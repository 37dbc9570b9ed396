import { type Daemons, useDaemons } from './daemon.ts';
import type { TestDatabase } from './database.ts';
import { until } from './wait.ts';

/** A row of the table delivery, as tests compare it. */
export type DeliveryRow = {
  id: number;
  state: string;
  key: string | null;
  attempts: number;
  error: { name: string; message: string; stack?: string } | null;
};

/** The steps of a test of deliveries: what it does to the database and to daemons. */
export type Delivering = Pick<Daemons, 'start' | 'tail' | 'keep'> & {
  /** Publishes each [key, payload] on channel c, in one statement. Returns the ids. */
  publish(...notifications: [key: string | null, payload: unknown][]): Promise<number[]>;
  /** The deliveries filed for consumer c, in order. */
  filed(): Promise<DeliveryRow[]>;
  /** Waits until the deliveries filed for consumer c have exactly these states. */
  untilFiled(...states: string[]): Promise<DeliveryRow[]>;
};

/**
 * Sets up the test file that calls it. After each test the daemons are stopped, and the deliveries
 * that they left are checked and deleted.
 */
export function useDelivering(database: TestDatabase): Delivering {
  const whenStopped = () => requireNoOrphans(database);
  const { start, tail, keep } = useDaemons(database, { whenStopped });
  const filed = async () => {
    const { rows } = await database.query(
      `select notification_id::float8 as id, state, key, attempts, last_error as error
       from pgwatch.delivery where consumer_id = 'c' order by notification_id`,
    );
    return rows as DeliveryRow[];
  };
  return {
    start,
    tail,
    keep,
    filed,
    async publish(...notifications) {
      const { rows } = await database.query(
        `select smart_notify('c', n.payload, n.key)::float8 as id
         from unnest($1::text[], $2::jsonb[]) as n (key, payload)`,
        [notifications.map(([key]) => key), notifications.map(([, p]) => JSON.stringify(p))],
      );
      return rows.map(({ id }) => id);
    },
    async untilFiled(...states) {
      let rows: DeliveryRow[] = [];
      await until(`these are filed: ${states}`, async () => {
        rows = await filed();
        const found = rows.map(({ state }) => state);
        return found.join() === states.join() || JSON.stringify(rows);
      });
      return rows;
    },
  };
}

/**
 * Every blocked delivery must wait for an earlier one of its key: nothing else would ever wake it.
 */
export async function requireNoOrphans(database: TestDatabase): Promise<void> {
  const { rows } = await database.query(
    `select * from pgwatch.delivery as d where state = 'blocked' and not exists (
       select from pgwatch.delivery as earlier
       where earlier.consumer_id = d.consumer_id and earlier.key = d.key
         and earlier.state <> 'dead' and earlier.notification_id < d.notification_id)`,
  );
  if (rows.length > 0) throw new Error(`Blocked forever: ${JSON.stringify(rows)}`);
}

/** Returns a function that throws the first `times` times it is called with a payload. */
export function failing(times: number, makeError: () => unknown = () => new Error('not yet')) {
  const calls = new Map<string, number>();
  return (payload: unknown) => {
    const text = JSON.stringify(payload);
    calls.set(text, (calls.get(text) ?? 0) + 1);
    if ((calls.get(text) ?? 0) <= times) throw makeError();
  };
}
