import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { schemaText } from '../../scripts/schema-text.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { createEmptyDatabase } from '../helpers/cluster.ts';
import { createRole } from '../helpers/role.ts';

const FILE = readFileSync(new URL('../../sql/schema.sql', import.meta.url), 'utf8');

test('sql/schema.sql is the result of the migrations; "npm run schema" updates it', async () => {
  const database = await createEmptyDatabase();
  const [publisher, consumer, reader, capturer] = [
    await createRole(database, 'publisher'),
    await createRole(database, 'consumer'),
    await createRole(database, 'reader'),
    await createRole(database, 'capturer'),
  ];
  const config = await database.configWith({
    roles: {
      publish: [publisher.name],
      consume: [consumer.name],
      read: [reader.name],
      capture: [capturer.name],
    },
  });
  await migrateUp(database.client, config);
  const names = {
    [publisher.name]: 'publisher',
    [consumer.name]: 'consumer',
    [reader.name]: 'reader',
    [capturer.name]: 'capturer',
  };
  expect(await schemaText(database.client, config, names)).toBe(FILE);
});

test('the result of the migrations does not depend on the day', async () => {
  const database = await createEmptyDatabase();
  const config = await database.configWith({});
  await migrateUp(database.client, config);
  const before = await schemaText(database.client, config, {});
  await database.query(`select pgwatch.log_partition_create('day', 20)`);
  await database.query(`select pgwatch.log_partition_create('hour', 20)`);
  expect(await schemaText(database.client, config, {})).toBe(before);
});
