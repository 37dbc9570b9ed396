import { expect, test } from 'vitest';
import { useIsolatedServer } from '../helpers/database.ts';
import { addConsumers, addDelivery } from '../helpers/deliveries.ts';
import { runMain } from '../helpers/main.ts';

/** A server of its own: the doctor would object to fsync = off, which the other tests use. */
const database = useIsolatedServer({ fsync: 'on' });
const doctor = (args: readonly string[] = [], env: Record<string, string> = {}) =>
  runMain(['doctor', ...args], { env: { DATABASE_URL: database.url, ...env } });

test('without problems the doctor prints a line for each check, and exits with 0', async () => {
  const { stdout, stderr, exitCode } = await doctor();
  expect([stderr, exitCode]).toEqual(['', 0]);
  expect(stdout).toMatch(/^✓ listen +\d+\.\d ms from NOTIFY to LISTEN$/m);
  expect(stdout).toMatch(/^✓ consumers +0 registered, 0 running$/m);
  // A release of its day may have a known fault by now, which is a note.
  expect(stdout).toMatch(/\n\n23 checks: (nothing to fix|\d notes?)\.\n$/);
});

test('findings say what, why and how, as text and as JSON, with exit code 1', async () => {
  await addConsumers(database, ['email']);
  await addDelivery(database, { state: 'dead' });
  await database.query('update pgwatch.consumer_progress set done_id = 1, paused_at = now()');
  const { stdout, stderr, exitCode } = await doctor();
  expect([stderr, exitCode]).toEqual(['', 1]);
  expect(stdout.split('\n').slice(0, 4)).toEqual([
    '✗ email has 1 dead letter. [consumers]',
    '  why  They exhausted their attempts, and are not delivered until each is retried.',
    '  fix  pgwatch dlq list --consumer email; ' +
      'then pgwatch dlq retry, or discard, --consumer email',
    '',
  ]);
  expect(stdout).toMatch(/^! email has been paused since .* until it is resumed\. \[consumers\]$/m);
  expect(stdout).toMatch(/23 checks: 1 problem, \d notes?\.\n$/);
  expect(stdout.split('\n').filter((line) => line.length > 100 && !/^ {2}fix/.test(line))).toEqual(
    [],
  );

  const json = await doctor(['--json']);
  expect([json.stderr, json.exitCode]).toEqual(['', 1]);
  const { findings, checked } = JSON.parse(json.stdout);
  expect(findings.filter(({ level }: { level: string }) => level === 'problem')).toEqual([
    {
      check: 'consumers',
      level: 'problem',
      what: 'email has 1 dead letter.',
      why: expect.any(String),
      fix: expect.stringContaining('pgwatch dlq list --consumer email'),
    },
  ]);
  expect(checked).toHaveLength(23);
  expect(checked).toContainEqual({ check: 'listen', outcome: 'ok', seen: expect.any(String) });
});

test('an unreachable server is a plain error', async () => {
  const { stdout, stderr, exitCode } = await doctor([], {
    DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
  });
  expect([stdout, exitCode]).toEqual(['', 1]);
  expect(stderr).toContain('error Cannot connect to 127.0.0.1:1');
});
