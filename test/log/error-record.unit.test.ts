import { expect, test } from 'vitest';
import { errorRecord } from '../../src/log/deliveries/error-record.ts';

const OWN = new URL('../../src/', import.meta.url).href;
const CALLERS = [
  `    at Object.handleBatch (${OWN}consumers/check.ts:85:41)`,
  `    at callDirectly (${OWN}consumers/call.ts:37:29)`,
  '    at process.processTicksAndRejections (node:internal/process/task_queues:104:5)',
];

function stackOf(lines: string[]): string | undefined {
  return errorRecord(Object.assign(new Error('no'), { stack: lines.join('\n') })).stack;
}

test('a stack ends where pgwatch called the handler', () => {
  const own = [
    'TypeError: no',
    '    at send (file:///app/node_modules/mailer/index.js:7:11)',
    // Through context.db and back.
    `    at query (${OWN}daemon/transaction-db.ts:1:1)`,
    '    at Object.handle (file:///app/consumers/email.ts:12:5)',
  ];
  expect(stackOf([...own, ...CALLERS])).toBe(own.join('\n'));
});

test('a stack with only pgwatch frames, without frames, or missing is kept', () => {
  const alone = ['Error: no', ...CALLERS];
  expect(stackOf(alone)).toBe(alone.join('\n'));
  expect(stackOf(['Error: no'])).toBe('Error: no');
  expect(stackOf(['no', '  (node:internal) is what it says'])).toContain('what it says');
  expect(stackOf([''])).toBeUndefined();
});
