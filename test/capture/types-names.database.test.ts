import { expect, test } from 'vitest';
import { printTypes } from '../../src/capture/types/print.ts';
import { readRowShapes } from '../../src/capture/types/shape.ts';
import { compile } from '../helpers/compiling.ts';
import { useDatabase } from '../helpers/database.ts';

const database = useDatabase();

test('any table names make a file that compiles, each table with its own type', async () => {
  const names = [
    ...['order items', 'order_items', 'OrderItems', '🙂', '💥', '2024', 'größe', 'Größe'],
    ...["it's", 'a"b', '*/ }', 'a.b', 'line\nbreak', 'partial', 'pick', 'back\\slash', '用户'],
    ...['\u202eabc', 'constructor', '__proto__', 'captured_tables', '𝒳'],
  ];
  await database.query('create schema "a.b"; create schema a; create table a."b.c" (id int)');
  const client = await database.connect();
  const quoted = (name: string) => client.escapeIdentifier(name);
  for (const name of names) {
    await client.query(
      `create table public.${quoted(name)} (id int primary key, ${quoted(name)} text)`,
    );
    await client.query(`create trigger t after insert on public.${quoted(name)}
      for each row execute function notify_data_change()`);
  }
  await client.query(`create table "a.b".c (id int);
    create trigger t after insert on "a.b".c for each row execute function notify_data_change();
    create trigger t after insert on a."b.c" for each row execute function notify_data_change()`);
  const shapes = await readRowShapes(client, database.config);
  const text = printTypes(shapes);
  const types = [...text.matchAll(/^export type (\S+)/gm)].map(([, name = '']) => name);
  expect(new Set(types).size).toBe(shapes.length);
  expect(types).toEqual(expect.arrayContaining(['OrderItems', 'OrderItems2', 'OrderItems3']));
  expect(types).toEqual(
    expect.arrayContaining(['Table', 'Table2', 'Table2024', 'Größe', 'Partial2', '用户']),
  );
  expect(text).not.toContain('\u202e');
  const use = `import type { Change } from 'pgwatch';
    import type { 用户, OrderItems } from './types.ts';
    const listed: Change['table'][] = ${JSON.stringify(names)};
    export const user = { id: 1, 用户: 'a' } satisfies 用户;
    export type Names = [typeof listed, OrderItems, Change<'a."b.c"'>, Change<'"a.b".c'>];`;
  expect(await compile({ 'types.ts': text, 'use.ts': use })).toBe('');
  expect(printTypes(await readRowShapes(client, database.config))).toBe(text);
});
