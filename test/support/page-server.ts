import { systemRandom } from '../../src/crypto/random.ts';
import { type Listener, listen } from '../../src/http/listener.ts';
import { pageApp } from '../../src/http/page-app.ts';
import type { PageData } from '../../src/http/page-data.ts';
import { silentLog } from '../../src/observe/log.ts';
import { Metrics } from '../../src/observe/metrics.ts';

/** Middleware without a node. */
export const pageMiddleware = () => ({
  log: silentLog,
  metrics: new Metrics(),
  random: systemRandom,
  now: () => Date.now(),
  deadlineMs: 20_000,
});

/** Serves the built page with data that may change, on a port of its own. */
export async function servePage(data: () => PageData): Promise<Listener> {
  const app = await pageApp({ hostNames: [], data: async () => data() }, pageMiddleware());
  return listen(app.fetch, { host: '127.0.0.1', port: 0 });
}
