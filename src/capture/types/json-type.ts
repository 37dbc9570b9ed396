import type { ColumnType, TypedColumn } from './read.ts';
import { memberName, textLiteral } from './text.ts';

/** A TypeScript type, as the members of a union. */
export type Union = readonly string[];

/**
 * The TypeScript type in which a consumer receives a non-null value: to_jsonb() converts it to
 * JSON, and parseJson() turns numbers that JavaScript cannot represent exactly into strings.
 */
export function jsonType(type: ColumnType): Union {
  switch (type.kind) {
    case 'boolean':
      return ['boolean'];
    case 'integer':
      return ['number'];
    case 'number':
      // NaN and Infinity are strings, too.
      return ['number', 'string'];
    case 'json':
      return ['unknown'];
    case 'enum':
      return type.labels.map(textLiteral);
    case 'array': {
      const item = [...jsonType(type.element), ...(type.isElementNullable ? ['null'] : [])];
      const text = unionText(item);
      const isPlain = new Set(item).size === 1 || text === 'unknown';
      return [`${isPlain ? text : `(${text})`}${'[]'.repeat(type.dimensions)}`];
    }
    case 'composite':
      return [objectText(type.attributes.map((each) => [each.name, valueType(each)]))];
    default:
      return ['string'];
  }
}

/** Like jsonType(), for the values of a column. */
export function valueType({ type, isNullable }: TypedColumn): Union {
  return [...jsonType(type), ...(isNullable ? ['null'] : [])];
}

/** The source text of a union: each member once, null last. */
export function unionText(members: Union): string {
  const unique = new Set(members);
  if (unique.has('unknown')) return 'unknown';
  const withNull = unique.delete('null') ? [...unique, 'null'] : [...unique];
  return withNull.join(' | ') || 'never';
}

export function objectText(members: readonly (readonly [name: string, type: Union])[]): string {
  const texts = members.map(([name, type]) => `${memberName(name)}: ${unionText(type)}`);
  return texts.length > 0 ? `{ ${texts.join('; ')} }` : 'Record<string, never>';
}
