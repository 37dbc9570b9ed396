import type { Checked, Examination } from '../../inspect/doctor/examine.ts';
import { onOneLine } from '../../lines.ts';
import { colorsFor } from '../../reporter.ts';
import { countOf } from '../../words.ts';
import { terminalColumns, wrapped } from '../../wrap.ts';

type Found = Examination['findings'][number];

/** The findings, problems first, then a line for each check without one, and a summary. */
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
  // The name of the check is wrapped with the sentence, but coloured separately.
  const name = `[${check}]`;
  const lines = text(`${what} ${name}`, 2);
  const head = `${colors.bold(lines.slice(0, -name.length))}${colors.dim(name)}`;
  return [
    `${mark} ${head}`,
    `  ${colors.dim('why')}  ${text(why, 7)}`,
    `  ${colors.dim('fix')}  ${fixText(fix)}`,
  ].join('\n');
}

function describeQuiet({ check, outcome, seen }: Checked, width: number): string {
  const colors = colorsFor(process.stdout);
  const mark = outcome === 'skipped' ? colors.dim('-') : colors.green('✓');
  return `${mark} ${check.padEnd(width)}  ${text(seen, width + 4)}`;
}

function sumOf(problems: number, notes: number, checks: number): string {
  const found = [
    ...(problems > 0 ? [countOf(problems, 'problem')] : []),
    ...(notes > 0 ? [countOf(notes, 'note')] : []),
  ];
  return `${countOf(checks, 'check')}: ${found.join(', ') || 'nothing to fix'}.`;
}

/** Wraps to the width of the terminal; in a pipe to 100 columns, to be readable in an email. */
function text(value: string, indent: number): string {
  return wrapped(onOneLine(value), {
    columns: terminalColumns(process.stdout) ?? PIPE_COLUMNS,
    indent,
  });
}

/** A fix is meant to be copied: in a pipe it is one line. */
function fixText(fix: string): string {
  const columns = terminalColumns(process.stdout);
  return columns === null ? onOneLine(fix) : wrapped(onOneLine(fix), { columns, indent: 7 });
}

const PIPE_COLUMNS = 100;
