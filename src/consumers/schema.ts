/**
 * The interface of a Standard Schema (https://standardschema.dev, version 1), which Zod, Valibot,
 * ArkType and others implement.
 */
export type StandardSchema<Output = unknown, Input = unknown> = {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
};

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

type SchemaIssue = {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
};

/** Has a schema for each channel, or none. */
export type SchemaByChannel = { schemaOf(channel: string): StandardSchema | null };

/** A payload that does not match the schema, with the issues the schema found and their paths. */
export class PayloadRefused extends Error {
  constructor(issues: readonly SchemaIssue[]) {
    super(`the payload does not match the schema: ${issues.map(describe).join('; ')}`);
    this.name = 'PayloadRefused';
  }
}

/**
 * Checks a payload. Returns the output of the schema.
 * @throws PayloadRefused
 */
export async function checkPayload(schema: StandardSchema, payload: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(payload);
  if (result.issues) throw new PayloadRefused(result.issues);
  return result.value;
}

export function isStandardSchema(value: unknown): value is StandardSchema {
  // Some schemas are functions.
  const standard = (value as { '~standard'?: { validate?: unknown } } | null)?.['~standard'];
  return typeof standard?.validate === 'function';
}

function describe({ message, path = [] }: SchemaIssue): string {
  const place = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return place ? `${place}: ${message}` : message;
}
