import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { discoverConsumers, skippedFiles } from '../../src/consumers/discover.ts';
import { makeProject, printingConsumer } from '../helpers/project.ts';

const minimal = "export default { channels: ['a', 'b', 'a'], handle() {} };";

test('consumers are found in all folders and kinds of file, and named by file', async () => {
  const folder = makeProject({
    'one.ts': minimal,
    'two.mts': minimal,
    'app/three.js': minimal,
    'app/deeper/four.mjs': minimal,
    'named.ts': printingConsumer('another-id', ['x']),
  });
  const found = await discoverConsumers(folder);
  expect(found.map(({ id, app, file }) => [id, app, file])).toEqual([
    ['another-id', null, join(folder, 'named.ts')],
    ['four', 'app', join(folder, 'app/deeper/four.mjs')],
    ['one', null, join(folder, 'one.ts')],
    ['three', 'app', join(folder, 'app/three.js')],
    ['two', null, join(folder, 'two.mts')],
  ]);
  expect(found[1]).toMatchObject({
    channels: ['a', 'b', 'consumer:four'],
    from: 'start',
    batchSize: 1,
  });
});

test('other files are skipped', async () => {
  const broken = 'this is no program';
  const folder = makeProject({
    'good.ts': minimal,
    'good.test.ts': broken,
    'good.spec.js': broken,
    'types.d.ts': broken,
    '_shared.ts': broken,
    '_lib/a.ts': broken,
    '.hidden/a.ts': broken,
    'app/node_modules/x/index.js': broken,
    'notes.md': broken,
    'data.json': broken,
    'old.cjs': broken,
  });
  expect((await discoverConsumers(folder)).map(({ id }) => id)).toEqual(['good']);
});

test('files that look like consumers but are not loaded are reported', () => {
  const folder = makeProject({
    'one.ts': minimal,
    'two.tsx': minimal,
    'app/three.cjs': minimal,
    'app/deeper/four.JSX': minimal,
    'five.cts': minimal,
    '_six.tsx': minimal,
    'seven.test.tsx': minimal,
    'eight.d.cts': minimal,
    'nine.md': '',
  });
  symlinkSync(join(folder, 'one.ts'), join(folder, 'eleven.ts'));
  const names = ['app/deeper/four.JSX', 'app/three.cjs', 'five.cts', 'two.tsx'];
  expect(skippedFiles(folder)).toEqual(names.map((name) => join(folder, name)));
});

test('an empty folder has no consumers, without an error; a file is not a folder', async () => {
  const folder = makeProject({});
  expect(await discoverConsumers(folder)).toEqual([]);
  await expect(discoverConsumers(join(folder, 'package.json'))).rejects.toMatchObject({
    code: 'consumer_invalid',
    message: expect.stringMatching(
      /^There is no folder .*package\.json\. Put consumer files there/,
    ),
  });
});

test('if a file is faulty no consumer is returned, and the first fault is the cause', async () => {
  const folder = makeProject({ 'good.ts': minimal, 'bad.ts': 'throw new Error("x")' });
  await expect(discoverConsumers(folder)).rejects.toMatchObject({
    code: 'consumer_invalid',
    cause: expect.objectContaining({ message: 'x' }),
  });
});
