/**
 * The condition that finds rows from the places where they were, following the updates made since.
 * An outdated place leads to no row, or to another one; a place past the end of the file, which
 * vacuum may have shortened, would be an error. The consumer is compared as an expression:
 * otherwise the planner prefers the primary key, because it does not know how many versions are
 * dead.
 * @param consumer an expression for the consumer's id
 * @param relation the parameter that contains the table's name
 * @param places the parameter that contains the places, as texts
 */
export function alongSql(consumer: string, relation: string, places: string): string {
  return `progress.consumer_id || '' = ${consumer} and progress.ctid = any(array(
    select pg_catalog.currtid2(${relation}::text, place::tid)
    from unnest(${places}::text[]) as place
    where split_part(ltrim(place, '('), ',', 1)::bigint
      < pg_relation_size(${relation}::text::regclass) / current_setting('block_size')::integer))`;
}
