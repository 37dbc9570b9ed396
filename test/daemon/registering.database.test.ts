import { expect } from 'vitest';
import { checkConsumer } from '../../src/consumers/check.ts';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { collectReports, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { filesOnly } from '../helpers/doors/only.ts';
import { publishRange } from '../helpers/publish.ts';

const test = filesOnly('it is about consumer files');

const database = useDatabase();
const { tail } = useDaemons(database);

/**
 * Runs consumers by their file names, on channel c unless they say otherwise. Returns what is
 * reported.
 */
async function run(
  files: Record<string, Partial<ConsumerDefinition>>,
  knownIds: readonly string[] = [],
): Promise<string> {
  const { reporter, reports } = collectReports();
  const consumers = Object.entries(files).map(([file, definition]) =>
    checkConsumer({ channels: ['c'], handle() {}, ...definition }, `/app/${file}`, '/app'),
  );
  const daemon = new Daemon({ config: database.config, consumers, knownIds, reporter });
  await daemon.runOnce(new AbortController().signal);
  return reports.join('').replaceAll(/\d\d:\d\d:\d\d /g, '');
}

const warnings = (said: string) => said.split('\n').filter((line) => line.startsWith('warning'));

test('a new consumer that may be a renamed file is reported with a remedy', async () => {
  await publishRange(database, 1, 37);
  await run({ 'email.ts': {} });
  const [warning, ...others] = warnings(await run({ 'mailer.ts': {} }));
  expect(others).toEqual([]);
  expect(warning).toMatch(
    new RegExp(
      '^warning mailer is new and receives 37 notifications from the log\\. ' +
        'email reads the same channels and no longer has a consumer file\\.',
    ),
  );
  expect(warning).toContain("If mailer is email under another name, put id: 'email' into ");
  expect(warning).toContain(
    'app/mailer.ts, or stop this process and run "pgwatch consumers rename email mailer".',
  );
  expect(warnings(await run({ 'mailer.ts': {} }))).toEqual([]);
});

test('an id in the file keeps the position, and so does a file that is moved', async () => {
  await publishRange(database, 1, 3);
  await run({ 'email.ts': {} });
  const said = await run({ 'billing/mailer.ts': { id: 'email' } });
  expect(said).not.toContain('is new');
  expect(await run({ 'app/deeper/email.mjs': {} })).not.toContain('is new');
  expect(warnings(await run({ 'email.ts': { id: 'mail' } })).join()).toContain('rename email mail');
});

test('two consumers renamed at once are both named, and running ones are not', async () => {
  await run({ 'a.ts': {}, 'b.ts': {}, 'c.ts': {}, 'd.ts': { channels: ['other'] } });
  await tail({ id: 'c', channels: ['c'], handle() {} });
  const told = warnings(await run({ 'x.ts': {}, 'y.ts': {} }));
  expect(told).toHaveLength(2);
  for (const [index, id] of ['x', 'y'].entries()) {
    expect(told[index]).toContain(
      'a and b read the same channels and no longer have a consumer file',
    );
    expect(told[index]).toContain(`run "pgwatch consumers rename OLD ${id}"`);
  }
});

test('consumers left out of this run, or on other channels, do not count as renamed', async () => {
  await run({ 'a.ts': {}, 'b.ts': { channels: ['b'] } });
  expect(warnings(await run({ 'x.ts': {} }, ['a', 'x']))).toEqual([]);
});

test('a renamed consumer that also reads another channel is reported, too', async () => {
  await run({ 'a.ts': {} });
  const [warning] = warnings(await run({ 'x.ts': { channels: ['c', 'more'] } }));
  expect(warning).toContain('a reads some of its channels and no longer has a consumer file');
});

test('a changed from is reported once to have no effect; a computed one is not', async () => {
  await run({ 'a.ts': {}, 'b.ts': { from: new Date(1) } });
  const files = { 'a.ts': { from: 'now' as const }, 'b.ts': { from: new Date(2) } };
  const [warning, ...others] = warnings(await run(files));
  expect(others).toEqual([]);
  expect(warning).toMatch(/a\.ts says from: now; before, it said start\. .*a does not move\./);
  expect(warning).toMatch(/pgwatch seek a --to now$/);
  expect(warnings(await run(files))).toEqual([]);
});
