import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startCli } from '../helpers/cli.ts';
import { useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';
import { makeProject } from '../helpers/project.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: docs/incident.md describes a real incident.
Method: the test writes the page's files and runs its commands, in order, against a daemon. Each
command must come to print what the page shows.
*/

const database = useDatabase();
const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/incident.md'), 'utf8');

type Step = { type: 'file'; text: string } | { type: 'command'; text: string; printed: string };

/** The code blocks of the page, in order. */
function stepsOf(text: string): Step[] {
  const blocks = [...text.matchAll(/^```(ts|console)\n(.*?)^```/gms)];
  return blocks.flatMap(([, language, block = '']): Step[] => {
    if (language === 'ts') return [{ type: 'file', text: block }];
    return block
      .split(/^\$ pgwatch /m)
      .slice(1)
      .map((command) => {
        const [line = '', ...printed] = command.split('\n');
        return { type: 'command', text: line, printed: printed.join('\n') };
      });
  });
}

/** Removes what differs in each run: times, sizes, processes, and ids derived from times. */
function steady(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/<?\d+(\.\d+)? (ms|s|min|h)\b/g, 'AWHILE')
    .replaceAll(/\b\d+(\.\d+)?\/s/g, 'RATE')
    .replaceAll(/process \d+ on \S+:/g, 'process PID on HOST:')
    .replaceAll(/[\w.-]+:\d+(?= (\(|for))/g, 'HOST:PID')
    .replaceAll(/\d+ (kB|bytes)/g, 'SIZE')
    .replaceAll(/[\da-f]{8}-[\da-f-]{27}/g, 'UUID')
    .replaceAll(/transaction {3}\d+/g, 'transaction   XID')
    .replaceAll(/, at RATE AWHILE|, at [\d.]+ a second AWHILE/g, '')
    .replaceAll(/ {2,}/g, '  ')
    .trim();
}

/** The words of a command as a shell splits them. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? '',
  );
}

test('the incident of the docs happens as described', { timeout: 60_000 }, async () => {
  const cwd = makeProject({});
  mkdirSync(join(cwd, 'consumers'));
  mkdirSync(join(cwd, 'node_modules'));
  symlinkSync(root, join(cwd, 'node_modules/pgwatch'));
  const env = { DATABASE_URL: database.url, PGWATCH_HEARTBEAT_INTERVAL: '200ms' };
  let daemon: ReturnType<typeof startCli> | undefined;
  const steps = stepsOf(page);
  expect(steps.filter(({ type }) => type === 'file')).toHaveLength(2);
  expect(steps.length).toBeGreaterThan(12);
  for (const step of steps) {
    if (step.type === 'file') {
      daemon?.signal('SIGTERM');
      await daemon?.exited;
      writeFileSync(join(cwd, /^\/\/ (\S+)/.exec(step.text)?.[1] ?? ''), step.text);
      daemon = startCli(['listen'], { cwd, env });
      await daemon.waitFor('Running invoices');
      continue;
    }
    await until(`"pgwatch ${step.text}" prints what the page says`, async () => {
      const { stdout } = await runMain(wordsOf(step.text), { cwd, env });
      // Publishing runs only once, whatever it prints.
      const isOnce = step.text.startsWith('notify');
      if (isOnce) expect(stdout).toBe(step.printed);
      return (
        steady(stdout) === steady(step.printed) || `${stdout}\n- instead of -\n${step.printed}`
      );
    });
  }
  // The order of other customers' invoices is not guaranteed.
  const invoicesIn = (text: string) =>
    [...text.matchAll(/invoice for customer \d: \d+ cents/g)].flat().sort(byCustomer);
  expect(invoicesIn(daemon?.stderr ?? '')).toEqual(invoicesIn(page.slice(page.lastIndexOf('##'))));
});

function byCustomer(one: string, other: string): number {
  return Number(/customer (\d)/.exec(one)?.[1]) - Number(/customer (\d)/.exec(other)?.[1]);
}
