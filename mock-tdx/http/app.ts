import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { toHex } from '../../src/bytes/hex.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import type { ErrorCode } from '../../src/errors/codes.ts';
import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import { problemOf } from '../../src/errors/problem.ts';
import type { DevelopmentPki } from '../development-pki.ts';
import type { TdMeasurements } from '../measurements.ts';
import { certificationRoutes, type ServiceStyle } from './certification-routes.ts';
import { CertificationService } from './certification-service.ts';
import { answerQuote } from './quote-route.ts';

const MAX_BODY_BYTES = 16_384;

/** What the HTTP face of a development PKI needs. */
export interface MockTdxApp {
  readonly pki: DevelopmentPki;
  /** What quotes say where the request does not. */
  readonly measurements: Partial<TdMeasurements>;
  readonly style: ServiceStyle;
  readonly nowMs: () => number;
}

/** Routes of mock-tdx: the quote maker, the root certificate, the collateral service. */
export function mockTdxApp({ pki, measurements, style, nowMs }: MockTdxApp): Hono {
  const app = new Hono();
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (context, allowed) => {
        const message = `use ${allowed.join(' or ')} here`;
        const response = problem(new EvidenceError('METHOD_NOT_ALLOWED', message));
        response.headers.set('allow', allowed.join(', '));
        return context.newResponse(response.body, response);
      },
    }),
  );
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => problem(refusal('BODY_TOO_LARGE', `the body may have at most ${MAX_BODY_BYTES} bytes`)),
    }),
  );
  app.post('/quote', (context) => answerQuote(context, pki, measurements));
  app.get('/root.pem', (context) =>
    context.body(pki.rootPem, 200, { 'content-type': 'application/x-pem-file' }),
  );
  app.get('/healthz', (context) => context.json({ status: 'ok' }));
  app.route('/', certificationRoutes(new CertificationService(pki, nowMs), style));
  app.notFound((context) => problem(refusal('ROUTE_NOT_FOUND', `there is no ${context.req.path}`)));
  app.onError(problem);
  return app;
}

const refusal = (code: ErrorCode, message: string) => new EvidenceError(code, message);

/** application/problem+json (RFC 9457). */
function problem(error: unknown): Response {
  const body = problemOf(error, toHex(systemRandom(16)));
  return new Response(JSON.stringify(body), {
    status: body.status,
    headers: { 'content-type': 'application/problem+json' },
  });
}
