/**
 * What validators have in common by the Standard Schema specification, version 1 (standardschema.dev): valibot, zod and
 * arktype follow it among others. It asks to be copied rather than depended on.
 */

/** A validator. It takes `Input` and makes `Output` of it; many make the same. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Validation<Output> | Promise<Validation<Output>>;
    /** For the compiler only. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type Validation<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly ValidationIssue[] };

/** What is wrong with a value, and where in it. */
export interface ValidationIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export type InputOf<S extends StandardSchema> = NonNullable<S['~standard']['types']>['input'];
export type OutputOf<S extends StandardSchema> = NonNullable<S['~standard']['types']>['output'];

/** What came of a validation; one that threw has a cause. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly issues: readonly ValidationIssue[]; readonly cause?: unknown };

/** Never throws. It is answered at once where the validator does. */
export function validate(schema: StandardSchema, value: unknown): Outcome | Promise<Outcome> {
  try {
    const validation = schema['~standard'].validate(value);
    return validation instanceof Promise ? validation.then(toOutcome, toFailure) : toOutcome(validation);
  } catch (cause) {
    return toFailure(cause);
  }
}

export function isStandardSchema(given: unknown): given is StandardSchema {
  // Some validators are functions.
  if ((typeof given !== 'object' && typeof given !== 'function') || given === null) return false;
  if (!('~standard' in given)) return false;
  const standard = given['~standard'];
  if (typeof standard !== 'object' || standard === null) return false;
  const { version, validate } = { version: undefined, validate: undefined, ...standard };
  return version === 1 && typeof validate === 'function';
}

/** Where an issue is, as one would write it: `.hosts[0].port`. */
export function formatPath({ path = [] }: ValidationIssue): string {
  return path
    .map((step) => (typeof step === 'object' ? step.key : step))
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('');
}

function toOutcome(validation: Validation<unknown>): Outcome {
  return validation.issues ? { ok: false, issues: validation.issues } : { ok: true, value: validation.value };
}

function toFailure(cause: unknown): Outcome {
  const message = cause instanceof Error ? cause.message : String(cause);
  return { ok: false, issues: [{ message: `the validator failed: ${message}` }], cause };
}
