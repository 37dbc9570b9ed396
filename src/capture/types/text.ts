/** A string literal. Characters that are invisible or change the text direction are escaped. */
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

/** A column's name as the name of a member: quoted if it is not a plain identifier. */
export function memberName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : textLiteral(name);
}

/**
 * Unique names for the row types of tables: public.users becomes Users, and app.users AppUsers,
 * regardless of other tables, so that a new table does not rename the types of others. If two would
 * still have the same name ("order items" and order_items), the later one gets a number.
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

/** Names that the file itself uses or declares. */
const RESERVED = ['Partial', 'Pick', 'Record', 'CapturedTables'];

const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu;
