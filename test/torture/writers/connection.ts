import { Client } from 'pg';
import { destroySocket } from '../../../src/database/connect.ts';
import { withDeadline } from '../../../src/time.ts';

/** A writer's connection, reopened after any error. */
export class WriterConnection {
  readonly #url: string;
  #client: Client | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** Runs the work; if that fails or takes too long, the connection is cut. */
  async run<T>(work: (client: Client) => Promise<T>): Promise<T> {
    try {
      this.#client ??= await open(this.#url);
      // A swallowed connection never answers.
      return await withDeadline(work(this.#client), DEADLINE_MS, () => new Error('no answer'));
    } catch (thrown) {
      if (this.#client) destroySocket(this.#client);
      this.#client = undefined;
      throw thrown;
    }
  }

  /** Without telling the server, which might not answer. */
  close(): void {
    if (this.#client) destroySocket(this.#client);
  }
}

async function open(url: string): Promise<Client> {
  const client = new Client({
    connectionString: url,
    application_name: 'writer',
    connectionTimeoutMillis: DEADLINE_MS,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    // A swallowed connection would hold its locks for long.
    const setting = client.query(`set idle_in_transaction_session_timeout = '${DEADLINE_MS}ms'`);
    await withDeadline(setting, DEADLINE_MS, () => new Error('no answer'));
    return client;
  } catch (thrown) {
    destroySocket(client);
    throw thrown;
  }
}

const DEADLINE_MS = 2000;
