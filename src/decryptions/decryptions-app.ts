import { type Context, Hono } from 'hono';
import { toBase64 } from '../bytes/base64.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { requireBoolean, requireInteger } from '../bytes/require-value.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { EvidenceError, LatchkeyError, RefusalError } from '../errors/latchkey-error.ts';
import { BodyRoom } from '../inbound/body-room.ts';
import { clientSignal, outgoingOf } from './client-signal.ts';
import { decryptionJson } from './decryption.ts';
import { type DecryptionService, isOracleName, tryParseKey } from './decryption-service.ts';
import type { WriteOrder } from './decryption-table.ts';
import { newRequestId, problemResponse } from './problem-response.ts';
import { parsePutBody } from './put-body.ts';
import { readBody } from './read-body.ts';
import { type WriteAuthorization, WriteGate } from './write-authorization.ts';

/** Options of the HTTP application. By default it has only the original's two routes. */
export interface DecryptionsAppOptions {
  /** Who may write; by default every client, as in the original. */
  readonly writeAuthorization?: WriteAuthorization;
  /** Whether `DELETE /decryption/<key>` exists (false). */
  readonly allowDelete?: boolean;
  /** Largest PUT body in bytes (1 MiB). */
  readonly maxBodyBytes?: number;
  /** How much memory the bodies of all requests may take together, in bytes (64 MiB). */
  readonly maxBodiesBytes?: number;
  readonly nowMs?: () => number;
  /** Called for each failure that is not the client's, with the request id that the answer has as `instance`. */
  readonly onError?: (error: unknown, requestId: string) => void;
}

const JSON_HEADERS = { 'content-type': 'application/json' } as const;
/** Without this header Node would send an empty body in chunks. */
const NO_BODY = { 'content-length': '0' } as const;

/** A write that its sender may make. */
interface Admitted {
  readonly body: Uint8Array;
  readonly account: AccountId | undefined;
}

/** Reads the body of a write, asks whether its sender may write, and answers once it was written. */
type Admit = (c: Context, write: (admitted: Admitted) => Promise<void>) => Promise<Response>;

/**
 * `GET` and `PUT /decryption/<64 hex digits>`, as the original service answers them, in successes and status codes;
 * all other paths and methods are 404, as there. Errors are problem+json.
 * @throws TypeError or RangeError for options of another type, such as an unknown kind of write authorization.
 */
export function decryptionsApp(service: DecryptionService, options: DecryptionsAppOptions = {}): Hono {
  requireBoolean(options.allowDelete ?? false, 'allowDelete');
  const app = new Hono();
  const admit = admission(options, service.writeOrder);
  addResultRoutes(app, service, admit);
  addSignatureRoutes(app, service, admit);
  if (options.allowDelete === true) addDeleteRoute(app, service, admit);
  app.notFound(() => problemResponse(noRoute()));
  app.onError((error) => {
    const requestId = newRequestId();
    const response = problemResponse(error, requestId);
    if (response.status >= 500 && !isBusy(error)) options.onError?.(error, requestId);
    return response;
  });
  return app;
}

function admission(
  {
    writeAuthorization = { kind: 'open' },
    maxBodyBytes = 1024 * 1024,
    maxBodiesBytes = 64 * 1024 * 1024,
    nowMs = () => Date.now(),
  }: DecryptionsAppOptions,
  order: WriteOrder | undefined,
): Admit {
  requireInteger(maxBodyBytes, 'maxBodyBytes');
  const gate = new WriteGate(writeAuthorization, nowMs, order);
  requireInteger(maxBodiesBytes, 'maxBodiesBytes');
  if (maxBodiesBytes < maxBodyBytes) throw new RangeError('maxBodiesBytes must be at least maxBodyBytes');
  const room = new BodyRoom(maxBodiesBytes);
  return async (c, write) => {
    const { body, leave } = await readBody(c.req.raw, outgoingOf(c.env), maxBodyBytes, room);
    try {
      const header = (name: string): string | undefined => c.req.header(name);
      const account = await gate.admit({ method: c.req.method, path: c.req.path, body, header });
      await write({ body, account });
      return c.body(null, 200, NO_BODY);
    } finally {
      leave();
    }
  };
}

function addResultRoutes(app: Hono, service: DecryptionService, admit: Admit): void {
  app.get('/decryption/:key', async (c) => {
    const key = keyOf(c);
    const waitMs = waitOf(c);
    // A result that is there needs no signal.
    const wait = service.hasNow(key) === true ? {} : { signal: clientSignal(c) };
    const found = await service.get(key, waitMs === undefined ? wait : { ...wait, waitMs });
    if (found === undefined) throw notFound(key);
    return c.body(decryptionJson(found), 200, JSON_HEADERS);
  });
  app.put('/decryption/:key', (c) => {
    const key = keyOf(c);
    return admit(c, async ({ body }) => {
      await service.put(key, parsePutBody(body));
    });
  });
}

function addSignatureRoutes(app: Hono, service: DecryptionService, admit: Admit): void {
  app.get('/decryption/:key/signatures', async (c) => {
    const key = keyOf(c);
    const signatures = await service.signatures(key);
    if (signatures.length === 0) throw notFound(key);
    const list = signatures.map(
      ({ oracle, value, signature }) =>
        `{"oracle":${JSON.stringify(oracle)},"value":${value},"signature":"${toBase64(signature)}"}`,
    );
    return c.body(`{"signatures":[${list.join(',')}]}`, 200, JSON_HEADERS);
  });
  app.put('/decryption/:key/signatures/:oracle', (c) => {
    const key = keyOf(c);
    return admit(c, async ({ body, account }) => {
      await service.putSignature(key, oracleOf(c, account), parsePutBody(body));
    });
  });
}

function addDeleteRoute(app: Hono, service: DecryptionService, admit: Admit): void {
  app.delete('/decryption/:key', (c) => {
    const key = keyOf(c);
    return admit(c, async () => {
      if (!(await service.delete(key))) throw notFound(key);
    });
  });
}

/** Full or shutting down: expected, and not reported to the operator. */
const BUSY: ReadonlySet<string> = new Set([
  'DECRYPTION_WAITERS_FULL',
  'DECRYPTION_BODIES_FULL',
  'DECRYPTION_SERVICE_CLOSED',
]);

const isBusy = (error: unknown): boolean => error instanceof LatchkeyError && BUSY.has(error.code);

const noRoute = (): EvidenceError => new EvidenceError('ROUTE_NOT_FOUND', 'there is no such route');

const notFound = (key: string): EvidenceError =>
  new EvidenceError('DECRYPTION_NOT_FOUND', `there is no decryption for ${key}`);

/** A key of another form makes another path: 404, as in the original, not 400. */
function keyOf(c: Context): string {
  const key = tryParseKey(c.req.param('key') ?? '');
  if (key === undefined) throw noRoute();
  return key;
}

function waitOf(c: Context): number | undefined {
  const text = c.req.query('wait');
  if (text === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new EvidenceError('FIELD_INVALID', 'wait must be a number of milliseconds', {
    field: 'wait',
    expected: 'up to nine digits',
  });
}

/** The name of the oracle in the path. For a signed write it must be the account that signed. */
function oracleOf(c: Context, account: AccountId | undefined): string {
  const oracle = c.req.param('oracle') ?? '';
  if (!isOracleName(oracle)) throw noRoute();
  if (account !== undefined && encodeSs58(account) !== oracle) {
    throw new RefusalError(
      'DECRYPTION_WRITE_FORBIDDEN',
      `${encodeSs58(account)} may not write for ${oracle}`,
    );
  }
  return oracle;
}
