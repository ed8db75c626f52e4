import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import type { ErrorCode } from '../errors/codes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { jsonBody, type MiddlewareEnv, refuseMethod } from '../http/middleware.ts';
import { parseWire } from '../protocol/decode.ts';
import type { AgentServices } from './agent-services.ts';
import { type Precondition, readPrecondition } from './precondition.ts';

/** What a route is given: everything checked, and the services of the open store. */
interface AgentRequest<Path, Query, Body> {
  readonly path: Path;
  readonly query: Query;
  readonly body: Body;
  readonly precondition: Precondition;
  readonly services: AgentServices;
}

/** What a route answers: JSON of its schema, and for a single value its entity tag. */
interface AgentAnswer<Json> {
  readonly json: Json;
  /** Without quotes. */
  readonly etag?: string;
}

/** One route of the agent; the server and the OpenAPI document use the same object. */
export interface AgentRoute {
  readonly method: 'get' | 'put' | 'post' | 'delete';
  /** With `{name}` for parameters. */
  readonly path: string;
  readonly summary: string;
  readonly parameters: z.ZodObject;
  readonly query?: z.ZodObject | undefined;
  readonly body?: z.ZodType | undefined;
  /** JSON of a schema, or a stream of bytes. */
  readonly answer: z.ZodType | 'bytes';
  /** Whether the route applies If-Match and If-None-Match. */
  readonly conditional: boolean;
  /** Codes that this route adds to those of every route. */
  readonly codes: readonly ErrorCode[];
  readonly serve: (context: Context<MiddlewareEnv>, services: AgentServices) => Promise<Response>;
}

interface Definition<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType, A extends z.ZodType> {
  readonly method: AgentRoute['method'];
  readonly path: string;
  readonly summary: string;
  readonly parameters: P;
  readonly query?: Q;
  readonly body?: B;
  /** Whether a body without a Content-Type is read as JSON; the clients of Vault and OpenBao send none. */
  readonly bodyNeedsNoType?: boolean;
  readonly answer: A;
  readonly conditional?: boolean;
  readonly codes?: readonly ErrorCode[];
  readonly handle: (
    request: AgentRequest<z.output<P>, z.output<Q>, z.output<B>>,
  ) => Promise<AgentAnswer<z.input<A>>>;
}

/** Makes a route; its handler gets only input that its schemas accept. */
export function agentRoute<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  A extends z.ZodType,
>(definition: Definition<P, Q, B, A>): AgentRoute {
  const { handle, conditional = false, codes = [] } = definition;
  return {
    ...definition,
    conditional,
    codes,
    async serve(context, services) {
      const request = await readRequest({ ...definition, conditional }, context, services);
      try {
        const { json, etag } = await handle(request);
        return context.json(json, 200, etag === undefined ? {} : { etag: `"${etag}"` });
      } finally {
        wipeSecrets(request.body);
      }
    },
  };
}

/** Overwrites the secrets of a body: what a handler keeps of them is sealed by then. */
function wipeSecrets(body: unknown): void {
  if (body instanceof SecretBytes) body.wipe();
  else if (typeof body === 'object' && body !== null && !(body instanceof Uint8Array))
    for (const member of Object.values(body)) wipeSecrets(member);
}

/** Makes a route that answers with bytes as they come; an error before the first one is a problem as anywhere. */
export function agentStream<B extends z.ZodType>(
  definition: Pick<AgentRoute, 'method' | 'path' | 'summary' | 'codes'> & {
    readonly body?: B;
    readonly stream: (
      request: AgentRequest<unknown, unknown, z.output<B>>,
    ) => Promise<ReadableStream<Uint8Array>>;
  },
): AgentRoute {
  const described = { ...definition, parameters: z.strictObject({}), conditional: false };
  return {
    ...described,
    answer: 'bytes',
    async serve(context, services) {
      const stream = await definition.stream(await readRequest(described, context, services));
      return context.body(stream, 200, { 'content-type': 'application/octet-stream' });
    },
  };
}

async function readRequest<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType>(
  {
    parameters,
    query,
    body,
    bodyNeedsNoType = false,
    conditional,
  }: {
    readonly parameters: P;
    readonly query?: Q;
    readonly body?: B;
    readonly bodyNeedsNoType?: boolean;
    readonly conditional: boolean;
  },
  context: Context<MiddlewareEnv>,
  services: AgentServices,
): Promise<AgentRequest<z.output<P>, z.output<Q>, z.output<B>>> {
  const { req } = context;
  requireDecodable(req.url);
  const readJson = () => jsonBody(context, { needsType: !bodyNeedsNoType });
  return {
    path: parseWire(parameters, req.param(), 'path'),
    // Where there is no schema nothing may be given, and the handler's type has nothing to read.
    query: parseQuery(query, req.queries()) as z.output<Q>,
    body: (body === undefined ? undefined : parseWire(body, await readJson())) as z.output<B>,
    precondition: readPrecondition(conditional, (name) => req.header(name)),
    services,
  };
}

/**
 * hono leaves percent encoding that is no UTF-8 as it is: `%ff` would name the record that `%25ff` names.
 * @throws EvidenceError FIELD_INVALID.
 */
function requireDecodable(url: string): void {
  try {
    decodeURIComponent(url);
  } catch {
    throw new EvidenceError('FIELD_INVALID', 'the path has percent encoding that is no UTF-8', {
      field: 'path',
      expected: 'each part percent-encoded from UTF-8',
    });
  }
}

function parseQuery(schema: z.ZodObject | undefined, given: Record<string, string[]>): unknown {
  const single: Record<string, string> = {};
  for (const [name, values] of Object.entries(given)) {
    const [value] = values;
    if (schema === undefined || value === undefined || values.length > 1) {
      const shown = name.slice(0, 80);
      const why = schema === undefined ? 'is not known here' : 'must be given once';
      throw new EvidenceError('FIELD_INVALID', `query: ${shown} ${why}`, { field: shown });
    }
    single[name] = value;
  }
  return schema === undefined ? undefined : parseWire(schema, single, 'query');
}

/** Puts routes on an app. `services` throws ProblemError NODE_LOCKED while the store is closed, before all else. */
export function serveAgentRoutes(
  app: Hono<MiddlewareEnv>,
  routes: readonly AgentRoute[],
  services: () => AgentServices,
): void {
  for (const path of hiddenPaths(routes)) {
    const methods = methodsOf(path, routes);
    app.use(patternOf(path), async (context, next) =>
      methods.includes(context.req.method) ? next() : refuseMethod(context, methods),
    );
  }
  for (const { method, path, serve } of routes)
    app.on(method.toUpperCase(), patternOf(path), async (context) => serve(context, services()));
}

const patternOf = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

/** The methods of a path; every GET route also answers HEAD. */
const methodsOf = (path: string, routes: readonly AgentRoute[]): readonly string[] =>
  routes
    .filter((route) => route.path === path)
    .flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));

/**
 * Paths that a parameter of another path matches too, such as `/rituals/backup` and `/rituals/{id}`. The other route
 * would take a request with a method that this path does not have.
 */
const hiddenPaths = (routes: readonly AgentRoute[]): ReadonlySet<string> =>
  new Set(routes.map(({ path }) => path).filter((path) => routes.some((other) => matches(other.path, path))));

function matches(pattern: string, path: string): boolean {
  const [parts, others] = [path.split('/'), pattern.split('/')];
  const fits = (part: string, index: number): boolean =>
    others[index] === part || others[index]?.startsWith('{') === true;
  return pattern !== path && parts.length === others.length && parts.every(fits);
}
