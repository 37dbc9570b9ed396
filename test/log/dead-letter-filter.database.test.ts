import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countDeliveries } from '../../src/log/deliveries/dead-letters.ts';
import { NO_FILTER } from '../../src/log/deliveries/filter.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();

/**
 * Characters that are special in LIKE and regular expressions, and letters that match by chance.
 */
const text = fc.string({ unit: fc.constantFrom(...'%_\\.*+?^$[](){}|\'"-: aAbBé'), maxLength: 8 });

test('an error text is found anywhere in the error, and has no wildcards', async () => {
  const client = await database.connect();
  await client.query(`insert into pgwatch.delivery (consumer_id, notification_id, state)
    values ('email', 1, 'dead')`);
  await fc.assert(
    fc.asyncProperty(text, text, text, async (name, message, errorText) => {
      await client.query('update pgwatch.delivery set last_error = $1', [{ name, message }]);
      const count = (part: string) =>
        countDeliveries(client, 'pgwatch', { ...NO_FILTER, errorText: part });
      const whole = `${name}: ${message}`.toLowerCase();
      expect(await count(errorText)).toBe(whole.includes(errorText.toLowerCase()) ? 1 : 0);
      // The case of other letters depends on the database's locale.
      expect(await count(message.replaceAll(/[a-z]/g, (letter) => letter.toUpperCase()))).toBe(1);
    }),
    { numRuns: 300 },
  );
});
