/**
 * The condition that the key of a delivery, first, is another one, as the index delivery_key finds
 * it: by a hash, because a key may be longer than an index entry.
 */
export function sameKeySql(key: string, other: string): string {
  return `(hashtextextended(${key}, 0) = hashtextextended(${other}, 0) and ${key} = ${other})`;
}
