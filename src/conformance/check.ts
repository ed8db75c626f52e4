/** What a foreign implementation did that the protocol does not allow. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** One rule of the protocol, tried on a foreign implementation. */
export interface Check<Subject> {
  /** Stable, for people to cite. */
  readonly name: string;
  /** @throws Violation, or any other error when the implementation does not answer as the protocol says. */
  readonly run: (subject: Subject) => Promise<void>;
}

/** The outcome of a check. */
export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  /** What was wrong; empty when nothing was. */
  readonly reason: string;
}

/** Throws unless a rule holds. */
export function requireRule(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Violation(rule);
}

/** Runs all checks one after the other, each with a new subject. */
export async function runChecks<Subject>(
  checks: readonly Check<Subject>[],
  makeSubject: () => Subject,
  onResult: (result: CheckResult) => void = () => undefined,
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  for (const { name, run } of checks) {
    const reason = await run(makeSubject()).then(() => '', reasonOf);
    const result = { name, ok: reason === '', reason };
    results.push(result);
    onResult(result);
  }
  return results;
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);
