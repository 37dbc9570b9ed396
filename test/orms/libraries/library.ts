import type * as adapters from 'pgwatch/adapters';
import type { AdaptedTransaction } from 'pgwatch/adapters';

/** What runs in a transaction, adapted and as the library gives it. */
export type Work = (client: AdaptedTransaction, transaction: unknown) => Promise<unknown>;

/** A library of the user, with a connection to the database. */
export type Opened = {
  /** Inserts an order, then runs the work, in a transaction that rolls back if it throws. */
  transact(item: string, work: Work): Promise<unknown>;
  /** Calls of the adapter with objects that publish outside of a transaction. */
  mistakes: Record<string, () => unknown>;
  close(): Promise<void>;
};

export type Library = {
  name: string;
  adapter: Exclude<keyof typeof adapters, 'AdaptedTransaction'>;
  open(url: string): Promise<Opened>;
};
