/**
 * A text as a literal. What shows as nothing, or turns the direction of what follows, is escaped.
 */
export function textLiteral(text: string): string {
  const escaped = JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/\\.|'/g, (found) => (found === '\\"' ? '"' : found === "'" ? "\\'" : found))
    .replaceAll(HIDDEN, (character) =>
      character
        .split('')
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join(''),
    );
  return `'${escaped}'`;
}

/** A column's name as that of a member: quoted where it is no plain identifier. */
export function memberName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : textLiteral(name);
}

/**
 * Names for the row types of tables, each of them another: users of schema public is Users, and
 * that of app AppUsers, whatever other tables there are, so that a new table renames no type of
 * another one. Where two still have the same name ("order items" and order_items), the later one
 * gets a number.
 */
export function rowTypeNames(tables: readonly { schema: string; name: string }[]): string[] {
  const taken = new Set(RESERVED);
  return tables.map(({ schema, name }) => {
    const parts = schema === 'public' ? [name] : [schema, name];
    const wanted = identifierOf(parts.join(' '));
    let chosen = wanted;
    for (let number = 2; taken.has(chosen); number++) chosen = `${wanted}${number}`;
    taken.add(chosen);
    return chosen;
  });
}

/** Letters and digits of all scripts, each word with a capital: OrderItems. */
function identifierOf(text: string): string {
  const words = text.normalize('NFC').split(/[^\p{ID_Continue}]+|_+/u);
  const name = words.map(capitalized).join('');
  if (name === '') return 'Table';
  return /^\p{ID_Start}/u.test(name) ? name : `Table${name}`;
}

function capitalized(word: string): string {
  const [first = '', ...rest] = word;
  return first.toUpperCase().normalize('NFC') + rest.join('');
}

/** What the file itself uses of TypeScript, and what it declares. */
const RESERVED = ['Partial', 'Pick', 'CapturedTables'];

const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu;
