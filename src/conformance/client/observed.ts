/** What a client did wrong in its requests, by the name of the rule. The server answers nevertheless. */
export class Observed {
  readonly #tried = new Set<string>();
  readonly #wrong = new Map<string, string>();

  /** Notes that a rule was broken, unless it holds. */
  demand(rule: RequestRule, holds: boolean, what: string): void {
    this.#tried.add(rule);
    if (!holds && !this.#wrong.has(rule)) this.#wrong.set(rule, what);
  }

  /** Whether the client sent a request by which a rule can be judged. */
  isTried(rule: RequestRule): boolean {
    return this.#tried.has(rule);
  }

  /** The first thing that was wrong by a rule; `undefined` when nothing was. */
  wrongBy(rule: RequestRule): string | undefined {
    return this.#wrong.get(rule);
  }
}

/** Rules about the requests of a client. */
export const requestRules = [
  'request-form',
  'challenge-bound',
  'report-data',
  'quote-genuine',
  'ephemeral-key-fresh',
  'slot-id-fresh',
  'recovery-proof',
  'mac-request',
  'mac-time',
  'mac-random-fresh',
  'link-seal',
  'link-confirm',
] as const;

/** The name of such a rule. */
export type RequestRule = (typeof requestRules)[number];
