import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';

/*
Goal: a program that only publishes does not load what runs consumers.
Method: a process writes which files of dist/ it loads, while it does something.
*/

const database = useDatabase();
const INDEX = new URL('../../dist/index.js', import.meta.url);

/** The folders and files of dist/ that are loaded, without those that exist only for types. */
async function loadedBy(work: string): Promise<string[]> {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const { createPgwatch } = await import('${INDEX}');
    const pgwatch = createPgwatch({ url: '${database.url}' });
    ${work}
    await pgwatch.close();
    console.log(loaded.join('\\n'));`;
  const args = ['--input-type=module', '--eval', script];
  const { stdout, stderr } = await runCli(args, { command: [process.execPath] });
  expect(stderr).toBe('');
  const dist = fileURLToPath(new URL('.', INDEX));
  const urls = stdout.trim().split('\n');
  const files = urls.filter((url) => url.startsWith('file:')).map((url) => fileURLToPath(url));
  return files.filter((file) => file.startsWith(dist)).map((file) => file.slice(dist.length));
}

test('publishing loads no daemon', async () => {
  const loaded = await loadedBy(`await pgwatch.notify('orders', 1);`);
  expect(loaded).toContain('log/publish.js');
  expect(loaded.filter((file) => /^(daemon|inspect|cli|embedded|testing)\//.test(file))).toEqual(
    [],
  );
});

test('running a consumer does', async () => {
  const loaded = await loadedBy(`await (await pgwatch.listen([], { once: true })).done;`);
  expect(loaded).toContain('daemon/daemon.js');
});
