/**
 * Adds a script to the text of a package.json. Nothing else changes: neither the indentation, nor
 * lists on one line, nor line endings.
 */
export function addScript(text: string, name: string, command: string): string {
  const unit = /^[\ufeff\s]*\{\s*?\n([ \t]+)/.exec(text)?.[1] ?? '  ';
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  const member = `${JSON.stringify(name)}: ${JSON.stringify(command)}`;
  const root = objectAt(text, text.indexOf('{'));
  const scripts = root.members.get('scripts');
  if (scripts !== undefined && text[scripts] === '{') {
    return insert(text, objectAt(text, scripts), member, {
      outer: unit,
      inner: unit + unit,
      newline,
    });
  }
  const whole = `"scripts": {${newline}${unit}${unit}${member}${newline}${unit}}`;
  return insert(text, root, whole, { outer: '', inner: unit, newline });
}

/** An object in the text: the places of its braces, and of its values by name. */
type Place = { start: number; end: number; members: Map<string, number> };

type Layout = { outer: string; inner: string; newline: string };

/** Adds a member after the last one, on a line of its own unless all are on one line. */
function insert(
  text: string,
  { start, end, members }: Place,
  member: string,
  layout: Layout,
): string {
  const { outer, inner, newline } = layout;
  const body = text.slice(start + 1, end).trimEnd();
  const isOnOneLine = members.size > 0 && !body.includes('\n');
  const lead = members.size > 0 ? ',' : '';
  const added = isOnOneLine ? ` ${member}` : newline + inner + member;
  const tail = isOnOneLine ? text.slice(start + 1 + body.length, end) : newline + outer;
  return text.slice(0, start + 1) + body + lead + added + tail + text.slice(end);
}

/** Reads the object that begins at a brace; the text must be JSON. */
function objectAt(text: string, start: number): Place {
  const members = new Map<string, number>();
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g;
  tokens.lastIndex = start;
  let [depth, key] = [0, ''];
  for (let token = tokens.exec(text); token; token = tokens.exec(text)) {
    const [found] = token;
    if (found === '{' || found === '[') depth++;
    else if (found === '}' || found === ']') {
      depth--;
      if (depth === 0) return { start, end: token.index, members };
    } else if (depth === 1 && found.startsWith('"')) key = JSON.parse(found) as string;
    else if (depth === 1 && found === ':') members.set(key, valueAfter(text, token.index + 1));
  }
  return { start, end: text.length, members };
}

function valueAfter(text: string, index: number): number {
  return index + (/\S/.exec(text.slice(index))?.index ?? 0);
}
