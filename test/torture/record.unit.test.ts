import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { RecordReader, RecordWriter } from './history/record.ts';

test('a record is read while it grows, in whole lines', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgwatch-record-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'record.jsonl');
  const reader = new RecordReader<{ text: string }>(path);
  expect(reader.refresh()).toEqual([]);

  const writer = new RecordWriter<{ text: string }>(path);
  writer.append({ text: 'é' });
  expect(reader.refresh()).toEqual([{ text: 'é' }]);

  appendFileSync(path, '{"text":');
  expect(reader.refresh()).toHaveLength(1);
  appendFileSync(path, '"later"}\n');
  writer.append({ text: 'last' });
  writer.close();
  expect(reader.refresh().map(({ text }) => text)).toEqual(['é', 'later', 'last']);
});
