import { expect, test } from 'vitest';
import { createTrigger } from '../../src/capture/create-trigger.ts';
import { connect } from '../../src/database/connect.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { changesOf } from '../helpers/captured.ts';
import { useDatabase } from '../helpers/database.ts';
import { diagnose } from '../helpers/doctor.ts';
import { createRole } from '../helpers/role.ts';

/*
Goal: whoever owns a captured table that is partitioned can go on adding partitions, or it is said
before writers fail for want of one.
*/

const database = useDatabase();

const problems = async () => {
  const { findings } = await diagnose(database.config, 'capture');
  return findings.map(({ what, fix }) => `${what} ${fix}`);
};

test.each([
  ['of the table', 'parted', 'parted_b partition of parted for values from (10) to (20)'],
  ['of a partition', 'parted_a', 'parted_aa partition of parted_a for values from (0) to (5)'],
  [
    'that it attaches',
    'parted',
    `one (id int primary key);
     alter table parted attach partition one for values from (30) to (40)`,
  ],
])('an owner can add a partition %s once the config lets it', async (_, owned, added) => {
  const owner = await createRole(database, 'owner');
  const client = await connect({ url: owner.url });
  await database.query(
    `create table parted (id int primary key) partition by range (id);
     create table parted_a partition of parted for values from (0) to (10) partition by range (id);
     alter table ${owned} owner to "${owner.name}";
     grant create on schema public to "${owner.name}"`,
  );
  const admin = await database.connect();
  try {
    const { warnings } = await createTrigger(admin, 'parted');
    const text = `"${owner.name}" cannot add partitions to public.parted while it is captured`;
    expect(warnings.join(' ')).toContain(text);
    expect((await problems()).join(' ')).toContain(`roles: { capture: ["${owner.name}"] }`);
    await expect(client.query(`create table ${added}`)).rejects.toThrow(
      'permission denied for function',
    );
    const roles = { ...database.config.roles, capture: [owner.name] };
    await migrateUp(admin, { ...database.config, roles });
    expect(await problems()).toEqual([]);
    await client.query(`create table ${added}`);
    await database.query(
      `insert into ${added.split(' ')[0]} select ${added.match(/\((\d+)\)/)?.[1]}`,
    );
    expect(await changesOf(database, 'parted')).toHaveLength(1);
  } finally {
    await client.end();
    await migrateUp(admin, database.config);
    await database.query(`drop table parted; drop table if exists one;
      revoke create on schema public from "${owner.name}";
      delete from pgwatch.notification_log`);
  }
});

test('an owner that may act as the owner of pgwatch is not warned about', async () => {
  const ddl = 'create table parted (id int primary key) partition by range (id)';
  await database.query(ddl);
  const { warnings } = await createTrigger(await database.connect(), 'parted');
  expect(warnings.join(' ')).not.toContain('cannot add partitions');
  expect(await problems()).toEqual([]);
});
