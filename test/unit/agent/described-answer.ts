import { z } from 'zod';
import { agentOpenApi } from '../../../src/agent/agent-openapi.ts';

interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: { readonly Problem: z.core.JSONSchema.JSONSchema } };
}

interface Operation {
  readonly responses: Readonly<Record<string, Response>>;
}

interface Response {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema?: z.core.JSONSchema.JSONSchema }>>;
}

// The document is this program's own; its other members do not matter here.
const document = agentOpenApi() as unknown as Described;

const patterns = Object.keys(document.paths)
  .map((path) => ({ path, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`) }))
  // What is spelled out comes before what has parameters, as OpenAPI says.
  .sort((a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')));

/** The operation that the document describes for a request. */
function operationOf(method: string, target: string): Operation | undefined {
  const { pathname } = new URL(target, 'http://localhost');
  // The path is found first, and has the method or has not: a request never falls through to a path with parameters.
  const found = patterns.find(({ pattern }) => pattern.test(pathname));
  return found === undefined ? undefined : document.paths[found.path]?.[method.toLowerCase()];
}

/**
 * Checks that an answer is as openapi-agent.json describes it: its status, its media type, its members and, for a
 * problem, its code. Requests that the document does not know are no concern of it.
 */
export function requireDescribed(
  request: { readonly method: string; readonly path: string },
  answer: { readonly status: number; readonly type: string | null; readonly json: unknown },
): void {
  const operation = operationOf(request.method, request.path);
  if (operation === undefined) return;
  const what = `${request.method} ${request.path} answered ${answer.status} ${JSON.stringify(answer.json)}`;
  const response = operation.responses[`${answer.status}`];
  if (response === undefined) throw new Error(`${what}: no such status`);
  const media = Object.entries(response.content).find(([type]) => answer.type?.startsWith(type));
  if (media === undefined) throw new Error(`${what}: ${answer.type} is not described`);
  const isProblem = media[0] === 'application/problem+json';
  const schema = isProblem ? document.components.schemas.Problem : media[1].schema;
  if (schema === undefined) return;
  const checked = z.fromJSONSchema(schema).safeParse(answer.json);
  if (!checked.success) throw new Error(`${what}: ${checked.error.message}`);
  if (!isProblem) return;
  const { code } = z.object({ code: z.string() }).parse(answer.json);
  if (!response.description.split(', ').includes(code)) throw new Error(`${what}: the code is not described`);
}
