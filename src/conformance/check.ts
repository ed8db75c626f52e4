/** What a foreign implementation did that the protocol does not allow. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** Thrown by a rule that cannot be tried: the implementation does not have the part that it is about. */
export class Skipped extends Error {
  override readonly name = 'Skipped';
}

/** One rule of the protocol, tried on a foreign implementation. */
export interface Check<Subject> {
  /** Stable, for people to cite. */
  readonly name: string;
  /** @throws Violation, or any other error when the implementation does not answer as the protocol says; Skipped. */
  readonly run: (subject: Subject) => Promise<void>;
}

/** The outcome of a check. */
export interface CheckResult {
  readonly name: string;
  /** False also for a rule that was skipped. */
  readonly ok: boolean;
  /** The rule could not be tried. */
  readonly skipped?: true;
  /** What was wrong, or why it was skipped; empty when the rule holds. */
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
    const result = await run(makeSubject()).then(() => ({ name, ok: true, reason: '' }), failed(name));
    results.push(result);
    onResult(result);
  }
  return results;
}

const failed =
  (name: string) =>
  (error: unknown): CheckResult => {
    const reason = error instanceof Error ? error.message || error.name : String(error);
    return { name, ok: false, reason, ...(error instanceof Skipped ? { skipped: true } : {}) };
  };
