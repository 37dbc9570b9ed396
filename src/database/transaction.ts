import type { ClientBase } from 'pg';

/** Runs the work in a transaction: commits what it did, or rolls it back and rethrows. */
export async function withTransaction<C extends ClientBase, T>(
  client: C,
  work: (client: C) => Promise<T>,
): Promise<T> {
  await client.query('begin');
  try {
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (thrown) {
    // The first error tells why; a rollback on a broken connection only repeats it.
    await client.query('rollback').catch(() => {});
    throw thrown;
  }
}
