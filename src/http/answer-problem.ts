import type { Context } from 'hono';
import type { Problem } from '../errors/problem.ts';

/** Answers a problem as application/problem+json (RFC 9457), with Retry-After where the problem says when. */
export function answerProblem(
  context: Context,
  problem: Problem,
  headers: Record<string, string> = {},
): Response {
  const retryAfter: Record<string, string> =
    problem.retryAfterMs === undefined ? {} : { 'retry-after': `${Math.ceil(problem.retryAfterMs / 1000)}` };
  return context.body(JSON.stringify(problem), {
    // hono wants one of its literal status codes; ours come from the table of codes.
    status: problem.status as 500,
    headers: { 'content-type': 'application/problem+json', ...retryAfter, ...headers },
  });
}
