import { readdirSync, readFileSync } from 'node:fs';
import { expect, inject, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { connect, withConnection } from '../../src/database/connect.ts';
import { migrateUp, requireCurrentSchema } from '../../src/database/migrate.ts';
import { bootstrapSql } from '../../src/database/migrations.ts';
import { version } from '../../src/inspect/doctor/version.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();

async function databaseIn(encoding: string) {
  const name = `in_${encoding.toLowerCase()}_${process.pid}`;
  const admin = await connect({ url: inject('serverUrl') });
  await admin.query(
    `create database ${name} encoding '${encoding}' lc_collate 'C' lc_ctype 'C' template template0`,
  );
  const url = new URL(inject('serverUrl'));
  url.pathname = `/${name}`;
  const client = await connect({ url: url.href });
  onTestFinished(async () => {
    await client.end();
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });
  const config = await loadConfig({ flags: { url: url.href }, environment: {}, folder: '/' });
  return { name, client, config };
}

test.each(['LATIN1', 'LATIN2', 'WIN1252', 'KOI8R', 'EUC_JP', 'SQL_ASCII'])(
  'a database in %s is refused in one sentence, and nothing is installed',
  async (encoding) => {
    const { name, client, config } = await databaseIn(encoding);
    const refusal = {
      code: 'encoding_unsupported',
      message: expect.stringMatching(
        `^Database "${name}" has the encoding ${encoding}, but pgwatch needs UTF8\\. Create a `,
      ),
    };
    await expect(migrateUp(client, config)).rejects.toMatchObject(refusal);
    await expect(requireCurrentSchema(client, config)).rejects.toMatchObject(refusal);
    await expect(client.query(bootstrapSql(config))).rejects.toMatchObject({ code: 'PW005' });
    await client.query('rollback');
    const { findings } = await version.run(client, {} as never);
    expect(findings[0]).toMatchObject({
      level: 'problem',
      what: expect.stringContaining(encoding),
    });
    const { rows } = await client.query("select from pg_namespace where nspname = 'pgwatch'");
    expect(rows).toHaveLength(0);
  },
);

test('doctor reports nothing about UTF8', async () => {
  await withConnection({ url: database.url }, async (client) => {
    const { findings, seen } = await version.run(client, {} as never);
    expect(findings.filter(({ what }) => what.includes('encoding'))).toEqual([]);
    expect(seen).toMatch(/, UTF8$/);
  });
});

test('our SQL is ASCII, which is valid in every encoding', () => {
  const folder = new URL('../../sql/', import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const texts = files
    .filter((file) => file.endsWith('.sql'))
    .map((file) => [file, readFileSync(new URL(file, folder), 'latin1')] as const);
  expect(texts.length).toBeGreaterThan(8);
  expect(texts.filter(([, text]) => /[^\n\t\x20-\x7e]/.test(text)).map(([file]) => file)).toEqual(
    [],
  );
});
