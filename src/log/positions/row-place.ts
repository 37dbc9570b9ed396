/**
 * From where rows were, along what others have made of them. A place that is outdated leads to no
 * row, or to another one; past the end of the file, which vacuum shortens, it would be an error.
 * The consumer is compared as an expression: the primary key looks cheaper to the planner, which
 * does not know how many versions are dead.
 * @param consumer the expression that is the consumer's id
 * @param relation the parameter that names the table
 * @param places the parameter that holds the places, as texts
 */
export function alongSql(consumer: string, relation: string, places: string): string {
  return `progress.consumer_id || '' = ${consumer} and progress.ctid = any(array(
    select pg_catalog.currtid2(${relation}::text, place::tid) from unnest(${places}::text[]) as place
    where split_part(ltrim(place, '('), ',', 1)::bigint
      < pg_relation_size(${relation}::text::regclass) / current_setting('block_size')::integer))`;
}
