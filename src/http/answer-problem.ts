import type { Context } from 'hono';
import { type Problem, problemHeaders } from '../errors/problem.ts';

/** Answers a problem as application/problem+json (RFC 9457), with Retry-After where the problem says when. */
export function answerProblem(
  context: Context,
  problem: Problem,
  headers: Record<string, string> = {},
): Response {
  return context.body(JSON.stringify(problem), {
    // hono wants one of its literal status codes; ours come from the table of codes.
    status: problem.status as 500,
    headers: { ...problemHeaders(problem), ...headers },
  });
}
