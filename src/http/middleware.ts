import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { routePath } from 'hono/route';
import { toHex } from '../bytes/hex.ts';
import type { RandomSource } from '../crypto/random.ts';
import { EvidenceError, ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import { problemOf } from '../errors/problem.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { AddressRates } from './address-rates.ts';
import { answerProblem } from './answer-problem.ts';
import { limitBody } from './limit-body.ts';
import { headerOf, outgoingOf } from './node-bindings.ts';

/** Options of the middleware. */
export interface MiddlewareOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly random: RandomSource;
  readonly now: () => number;
  /** Largest body of any route of this app, in bytes; or of the route of a path. */
  readonly maxBodyBytes: number | ((path: string) => number);
  /** A request that takes longer is answered 504. */
  readonly deadlineMs: number;
  /** One token per request, by peer address; absent on listeners that only this machine reaches. */
  readonly rate?: AddressRates;
  /** Address of the peer; `undefined` on a Unix socket. */
  readonly peerAddress: (context: Parameters<MiddlewareHandler>[0]) => string | undefined;
}

/** Context variables that the middleware sets. */
export interface MiddlewareEnv {
  Variables: {
    requestId: string;
    /** `undefined` on a Unix socket. */
    peerAddress: string | undefined;
    /** Whether the request took longer than it may: then it has got another answer. */
    isAnswered: boolean;
  };
}

/**
 * An app with the middleware of every listener: each request gets an id, a log line, a size cap, a rate limit, a deadline, and errors as
 * problem+json. The routes behind it throw LatchkeyErrors and nothing else.
 */
export function appWithMiddleware(options: MiddlewareOptions): Hono<MiddlewareEnv> {
  const app = new Hono<MiddlewareEnv>();
  app.use(observe(options));
  app.use(limitRate(options));
  app.use(limitBody(options.maxBodyBytes));
  app.use(deadline(options.deadlineMs));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: refuseMethod,
    }),
  );
  app.notFound((context) => {
    const error = new EvidenceError('ROUTE_NOT_FOUND', `there is no route ${context.req.path}`);
    return answerProblem(context, problemOf(error, context.get('requestId')));
  });
  app.onError((error, context) => {
    const problem = problemOf(error, context.get('requestId'));
    if (problem.code === 'INTERNAL') {
      options.log('error', 'http.failed', {
        requestId: problem.instance,
        error: error.stack ?? error.message,
      });
    }
    return answerProblem(context, problem);
  });
  return app;
}

/** Answers 405 with `Allow`: the path has routes, but none of this method. */
export function refuseMethod(context: Context<MiddlewareEnv>, methods: readonly string[]): Response {
  const allow = methods.join(', ');
  const error = new EvidenceError('METHOD_NOT_ALLOWED', `this route answers ${allow}`, {
    expected: allow,
    observed: context.req.method,
  });
  return answerProblem(context, problemOf(error, context.get('requestId')), { allow });
}

/** The pattern under which middleware is registered: the only match of a request that no route takes. */
const ANY_PATH = '/*';

function observe({ log, metrics, random, now }: MiddlewareOptions): MiddlewareHandler<MiddlewareEnv> {
  const nextId = requestIds(random);
  return async function observed(context, next) {
    const requestId = nextId();
    context.set('requestId', requestId);
    const outgoing = outgoingOf(context);
    outgoing?.setHeader('x-request-id', requestId);
    const start = now();
    await next();
    const { status } = context.res;
    // The pattern of the route and not the requested path: strangers could make any number of label values.
    const pattern = routePath(context, -1);
    const route = pattern === ANY_PATH ? 'none' : pattern;
    const ms = now() - start;
    if (outgoing === undefined) context.res.headers.set('x-request-id', requestId);
    metrics.requests.inc({ route, status: `${status}` });
    metrics.requestSeconds.observe({ route }, ms / 1000);
    log(status >= 500 ? 'warn' : 'debug', 'http.request', {
      requestId,
      method: context.req.method,
      route,
      status,
      ms,
    });
  };
}

const ID_BYTES = 8;
const IDS_PER_DRAW = 256;

/** Random request ids, 16 hex digits each. They are not secret, and a draw costs a system call, so each draw makes 256 of them. */
export function requestIds(random: RandomSource): () => string {
  let drawn = '';
  let next = 0;
  return () => {
    if (next === drawn.length) {
      drawn = toHex(random(ID_BYTES * IDS_PER_DRAW));
      next = 0;
    }
    next += 2 * ID_BYTES;
    return drawn.slice(next - 2 * ID_BYTES, next);
  };
}

function limitRate({ rate, peerAddress, now }: MiddlewareOptions): MiddlewareHandler<MiddlewareEnv> {
  return async function rateLimited(context, next) {
    const address = peerAddress(context);
    context.set('peerAddress', address);
    const waitMs = rate?.take(address ?? 'local', now()) ?? 0;
    if (waitMs > 0) {
      throw new RefusalError('RATE_LIMITED', 'too many requests from this address', { retryAfterMs: waitMs });
    }
    await next();
  };
}

function deadline(deadlineMs: number): MiddlewareHandler<MiddlewareEnv> {
  return async function bounded(context, next) {
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        context.set('isAnswered', true);
        reject(new ProblemError('REQUEST_TIMEOUT', `no answer within ${deadlineMs} ms`));
      }, deadlineMs);
    });
    try {
      await Promise.race([next(), expired]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/**
 * Reads a JSON body.
 * @param options `needsType: false` reads also a body without a Content-Type; another type is refused in any case.
 * @throws EvidenceError UNSUPPORTED_MEDIA_TYPE, BODY_INCOMPLETE, BODY_NOT_JSON.
 */
export async function jsonBody(
  context: Context,
  options: { readonly needsType: boolean } = { needsType: true },
): Promise<unknown> {
  const type = headerOf(context, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === undefined ? options.needsType : type !== 'application/json') {
    throw new EvidenceError('UNSUPPORTED_MEDIA_TYPE', 'the body must be application/json', {
      field: 'content-type',
      expected: 'application/json',
      observed: type ?? 'none',
    });
  }
  const text = await context.req.text().catch((cause: unknown) => {
    // The client is gone and gets no answer; without this code its hang-up would be logged as a failure of the server.
    throw new EvidenceError('BODY_INCOMPLETE', 'the connection ended before the body was complete', {
      cause,
    });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EvidenceError('BODY_NOT_JSON', 'the body is not valid JSON', { cause });
  }
}
