import { onTestFinished } from 'vitest';

/** A role that can log in. */
export type Role = {
  /** Needs quoting: it has a capital and a space in it. */
  name: string;
  /** The test database as this role. */
  url: string;
};

/**
 * Creates a role with no rights beyond PUBLIC's. When the test ends it is dropped with what it
 * owns.
 */
export async function createRole(
  database: { url: string; query(text: string): Promise<unknown> },
  purpose: string,
): Promise<Role> {
  const name = `Test ${purpose} ${Math.random().toString(36).slice(2, 8)}`;
  await database.query(`create role "${name}" login password '${ROLE_PASSWORD}'`);
  onTestFinished(async () => {
    await database.query(`drop owned by "${name}" cascade`);
    await database.query(`drop role "${name}"`);
  });
  const url = new URL(database.url);
  Object.assign(url, { username: name, password: ROLE_PASSWORD });
  return { name, url: url.href };
}

/** Must never be printed. */
export const ROLE_PASSWORD = 'c4nary-p4ssw0rd';
