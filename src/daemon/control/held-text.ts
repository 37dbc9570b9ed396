import { advisoryText, readAdvisoryHolders } from '../../database/advisory.ts';
import type { Clients } from '../../database/pool.ts';
import { SQLSTATE } from '../../database/sqlstate.ts';
import { errorCodeOf } from '../../errors.ts';

/** ' Held by others: cleanup: pid 4711 …' if something failed because of a lock; otherwise ''. */
export async function heldText(pool: Clients, schema: string, error: Error): Promise<string> {
  if (errorCodeOf(error) !== SQLSTATE.lockNotAvailable) return '';
  // If even this fails, the error alone has to do.
  const holders = await pool
    .withClient((client) => readAdvisoryHolders(client, schema))
    .catch(() => []);
  const texts = holders.map((holder) => `${holder.what}: ${advisoryText(holder)}`);
  return texts.length > 0 ? ` Held by others: ${texts.join('; ')}.` : '';
}
