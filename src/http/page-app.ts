import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Hono, MiddlewareHandler } from 'hono';
import { ProblemError, RefusalError } from '../errors/latchkey-error.ts';
import { appWithMiddleware, type MiddlewareEnv, type MiddlewareOptions } from './middleware.ts';
import type { PageData, ShownFleet } from './page-data.ts';

/**
 * The folder of the built page. For sources (tests, scripts under tsx) it is the built one too, because browsers do not
 * read TypeScript; vitest builds first when that one is older than its sources.
 */
const builtPage = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/src/page/' : '../page/',
  import.meta.url,
);

/** The files of the page, by their paths. */
const files = {
  '/': { name: 'index.html', type: 'text/html; charset=utf-8' },
  '/app.js': { name: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/icon.svg': { name: 'icon.svg', type: 'image/svg+xml' },
  '/style.css': { name: 'style.css', type: 'text/css; charset=utf-8' },
} as const;

/** Nothing from elsewhere, no inline code, no frame, no form; and text of peers can become no markup (Trusted Types). */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const headers: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
};

/** What the page shows, and to whom. */
export interface PageOptions {
  /** The names under which a browser may ask, in addition to those of the own machine. */
  readonly hostNames: readonly string[];
  readonly data: () => Promise<PageData>;
  /** Begins a round of questions to all servers of the chain, when one is due. */
  readonly fleet: () => ShownFleet;
}

/**
 * The listener of the status page: reads only, and only under a name that is allowed, so that a web page elsewhere
 * cannot read it by a name that it points to this machine (DNS rebinding).
 * @throws ProblemError LISTEN_FAILED when the page was not built.
 */
export async function pageApp(
  options: PageOptions,
  middleware: Omit<MiddlewareOptions, 'maxBodyBytes' | 'peerAddress'>,
): Promise<Hono<MiddlewareEnv>> {
  const app = appWithMiddleware({ ...middleware, maxBodyBytes: 0, peerAddress: () => undefined });
  app.use(withHeaders);
  app.use(requireHost(options.hostNames));
  for (const [path, { name, type }] of Object.entries(files)) {
    const content = await readPage(name);
    app.get(path, ({ body }) => body(content, 200, { 'content-type': type }));
  }
  app.get('/data.json', async ({ json }) => json(await options.data()));
  app.get('/fleet.json', requireOwnPage, ({ json }) => json(options.fleet()));
  return app;
}

const withHeaders: MiddlewareHandler<MiddlewareEnv> = async (context, next) => {
  for (const [name, value] of Object.entries(headers)) context.header(name, value);
  await next();
};

const OWN_MACHINE = ['localhost', '127.0.0.1', '[::1]'];

function requireHost(hostNames: readonly string[]): MiddlewareHandler<MiddlewareEnv> {
  const allowed = new Set([...OWN_MACHINE, ...hostNames.map((name) => name.toLowerCase())]);
  return async (context, next) => {
    const host = (context.req.header('host') ?? '').toLowerCase();
    if (!allowed.has(host.replace(/:\d{1,5}$/, ''))) {
      throw new RefusalError('HOST_REFUSED', 'the status page is not served under this name', {
        field: 'host',
        hint: 'ask under localhost, or add the name to page.hostNames',
      });
    }
    await next();
  };
}

/**
 * Another web page cannot read an answer, but its request would make this node ask others. Browsers say where a request
 * comes from (Fetch Metadata, W3C); programs that are none say nothing.
 */
const requireOwnPage: MiddlewareHandler<MiddlewareEnv> = async (context, next) => {
  const site = context.req.header('sec-fetch-site') ?? 'none';
  if (site !== 'same-origin' && site !== 'none') {
    throw new RefusalError('HOST_REFUSED', 'the fleet is asked for the status page only', {
      field: 'sec-fetch-site',
      expected: 'same-origin or none',
      observed: site.slice(0, 40),
    });
  }
  await next();
};

async function readPage(name: string): Promise<string> {
  try {
    return await readFile(new URL(name, builtPage), 'utf8');
  } catch (cause) {
    throw new ProblemError(
      'LISTEN_FAILED',
      `the status page was not built: ${fileURLToPath(builtPage)}${name}`,
      {
        hint: 'run `npm run build`, or remove the section `page`',
        cause,
      },
    );
  }
}
