import { toPrefixedHex } from '../../bytes/hex.ts';
import { systemRandom } from '../../crypto/random.ts';
import { requireRule } from '../check.ts';
import { type Outcome, routeOf, type Step } from './contract.ts';
import type { Fault, Json, RawReply } from './fault.ts';
import type { ClientRun } from './foreign-client.ts';
import type { ClientCheck } from './request-checks.ts';

/** Requires that a client did not take a step for done, and did none of the steps after it there. */
export function requireRefused(run: ClientRun, at: Step, what: string): Outcome {
  const { steps } = run.scenario;
  const place = steps.indexOf(at);
  for (const step of steps.slice(0, place)) {
    const { ok, reason = 'no reason' } = run.outcome(step, 0);
    requireRule(ok === true, `${step} ends before ${what}, with: ${reason}`);
  }
  const outcome = run.outcome(at, 0);
  requireRule(run.server(0).hasErred, `the client asks for nothing that could be ${what}`);
  requireRule(outcome.ok === false, `the client takes ${what}`);
  requireRule(outcome.reason !== undefined, `the client gives no reason for refusing ${what}`);
  const before = new Set(steps.slice(0, place + 1).map((step) => routeOf[step]));
  const after = steps.slice(place + 1).map((step) => routeOf[step]);
  const path = run
    .server(0)
    .requests.find((request) => after.includes(request.path) && !before.has(request.path));
  requireRule(path === undefined, `after ${what} the client goes on with ${path?.path}`);
  return outcome;
}

/** What a rule about refusing is made of. */
export interface RefusalRule {
  readonly name: string;
  /** What the first server does. */
  readonly what: string;
  readonly fault: Fault;
  readonly steps: readonly Step[];
  /** The step that must fail there. */
  readonly at: Step;
  /** Added to the time by which the client judges. */
  readonly laterMs?: number;
  /** What must hold besides. */
  readonly also?: (run: ClientRun, outcome: Outcome) => void;
}

/** A rule that what the first server does is not taken. */
export const refuses = ({ name, what, fault, steps, at, laterMs = 0, also }: RefusalRule): ClientCheck => ({
  name,
  run: async (client) => {
    const run = await client.run({ steps, fault, laterMs });
    const outcome = requireRefused(run, at, what);
    also?.(run, outcome);
  },
});

/** Requires that nothing was asked under a path. */
export const neverAsked =
  (path: string, what: string) =>
  (run: ClientRun): void =>
    requireRule(!run.server(0).requests.some((request) => request.path.startsWith(path)), what);

/** Answers one route with something else. */
export const replies =
  (path: string, reply: RawReply): NonNullable<Fault['reply']> =>
  (request) =>
    request.path === path ? reply : undefined;

/** Changes the answers of one route after they were sealed, or their MAC was made. */
export const changes =
  (path: string, change: (body: Json, former: readonly Json[]) => Json): NonNullable<Fault['answer']> =>
  (asked, body, former) =>
    asked === path ? change(body, former) : body;

/** Another digit at a place of hex. */
export const flipped = (text: unknown, at: number): string => {
  const digits = String(text);
  return `${digits.slice(0, at)}${digits[at] === '0' ? '1' : '0'}${digits.slice(at + 1)}`;
};

/** Random bytes as `0x` hex. */
export const randomHex = (length: number): string => toPrefixedHex(systemRandom(length));

/** A refusal of RFC 9457 with a code. */
export const problem = (
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): RawReply => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: JSON.stringify({
    type: `urn:latchkey:error:${code}`,
    title: 'refused',
    status,
    code,
    detail: 'refused by the runner',
    instance: 'conformance',
  }),
});
