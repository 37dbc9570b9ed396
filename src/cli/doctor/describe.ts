import type { Checked, Examination } from '../../inspect/doctor/examine.ts';
import { colorsFor } from '../../reporter.ts';
import { countOf } from '../describe.ts';
import { onOneLine, stdoutColumns } from '../table.ts';

type Found = Examination['findings'][number];

/** The findings, problems first, then a line for each check without one, and a sum. */
export function describeExamination({ findings, checked }: Examination): string {
  const byLevel = (level: Found['level']) => findings.filter((finding) => finding.level === level);
  const [problems, notes] = [byLevel('problem'), byLevel('note')];
  const quiet = checked.filter(({ check }) => !findings.some((finding) => finding.check === check));
  const width = Math.max(...checked.map(({ check }) => check.length));
  return [
    ...[...problems, ...notes].map(describeFinding),
    ...(quiet.length > 0 ? [quiet.map((each) => describeQuiet(each, width)).join('\n')] : []),
    sumOf(problems.length, notes.length, checked.length),
  ].join('\n\n');
}

function describeFinding({ check, level, what, why, fix }: Found): string {
  const colors = colorsFor(process.stdout);
  const mark = level === 'problem' ? colors.red('✗') : colors.yellow('!');
  return [
    `${mark} ${colors.bold(wrapped(what, 2))} ${colors.dim(`[${check}]`)}`,
    `  ${colors.dim('why')}  ${wrapped(why, 7)}`,
    // Not wrapped: it is there to be copied.
    `  ${colors.dim('fix')}  ${onOneLine(fix)}`,
  ].join('\n');
}

function describeQuiet({ check, outcome, seen }: Checked, width: number): string {
  const colors = colorsFor(process.stdout);
  const mark = outcome === 'skipped' ? colors.dim('-') : colors.green('✓');
  return `${mark} ${check.padEnd(width)}  ${wrapped(seen, width + 4)}`;
}

function sumOf(problems: number, notes: number, checks: number): string {
  const found = [
    ...(problems > 0 ? [countOf(problems, 'problem')] : []),
    ...(notes > 0 ? [countOf(notes, 'note')] : []),
  ];
  return `${countOf(checks, 'check')}: ${found.join(', ') || 'nothing to mend'}.`;
}

/** On lines that a terminal shows whole; into a pipe 100 columns, so that a mail of it can be read. */
function wrapped(text: string, indent: number): string {
  const columns = Math.min(stdoutColumns(), COLUMNS_MAX) - indent;
  const lines: string[] = [];
  let line = '';
  for (const word of onOneLine(text).split(' ')) {
    if (line && line.length + word.length >= columns) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`);
}

const COLUMNS_MAX = 100;
