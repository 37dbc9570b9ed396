import { tableText } from '../table-name.ts';
import { unionText } from './json-type.ts';
import type { RowShape } from './shape.ts';
import { memberName, rowTypeNames, textLiteral } from './text.ts';

/** A TypeScript file that declares the rows of these tables in notifications. */
export function printTypes(shapes: readonly RowShape[]): string {
  const names = rowTypeNames(shapes);
  const named = shapes.map((shape, index) => ({ shape, name: names[index] ?? '' }));
  const parts =
    shapes.length === 0
      ? ['// No table is captured: changes can be of any table, with any columns.\nexport {};']
      : [
          ...named.map(({ shape, name }) => rowType(shape, name)),
          [
            "declare module 'pgwatch' {",
            '  interface CapturedTables {',
            ...named.flatMap(({ shape, name }) => entry(shape, name)),
            '  }',
            '}',
          ].join('\n'),
        ];
  return `${[HEAD, ...parts].join('\n\n')}\n`;
}

/** False for a file that a person wrote. The mark may follow other lines, as for linters. */
export function isPrintedTypes(text: string): boolean {
  return text.includes(MARK);
}

function rowType({ columns, always }: RowShape, name: string): string {
  const members = [...columns].map(([column, type]) => {
    const mark = always.has(column) ? '' : '?';
    return `  ${memberName(column)}${mark}: ${unionText(type)};`;
  });
  if (members.length === 0) return `export type ${name} = Record<string, never>;`;
  return [`export type ${name} = {`, ...members, '};'].join('\n');
}

function entry(shape: RowShape, name: string): string[] {
  return [
    `    ${textLiteral(tableText(shape))}: {`,
    `      schema: ${textLiteral(shape.schema)};`,
    `      table: ${textLiteral(shape.name)};`,
    `      id: ${unionText(shape.id)};`,
    `      row: ${name};`,
    `      updatedRow: ${updatedRow(shape, name)};`,
    '    };',
  ];
}

/** With payload 'changed', only key columns are certain to be in rows of an UPDATE. */
function updatedRow({ always, alwaysInUpdate }: RowShape, name: string): string {
  if (always.isSubsetOf(alwaysInUpdate)) return name;
  const keys = [...alwaysInUpdate].map(textLiteral);
  return keys.length === 0
    ? `Partial<${name}>`
    : `Partial<${name}> & Pick<${name}, ${keys.join(' | ')}>`;
}

const MARK = '// Written by "pgwatch types"';
/** TypeScript resolves an augmented module only if some file imports it. */
const HEAD = `${MARK}: the rows of the captured tables in notifications. Do not edit.
// After a change of the tables or of their capture: npx pgwatch types --out THIS_FILE
import type {} from 'pgwatch';`;
