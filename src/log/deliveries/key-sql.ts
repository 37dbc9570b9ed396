/**
 * The condition that the key of a delivery equals another key, in the form that the index
 * delivery_key supports: by hash, because a key may be longer than an index entry.
 * @param key the key of the delivery
 */
export function sameKeySql(key: string, other: string): string {
  return `(hashtextextended(${key}, 0) = hashtextextended(${other}, 0) and ${key} = ${other})`;
}
