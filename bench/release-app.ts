import { Writable } from 'node:stream';
import { systemRandom } from '../src/crypto/random.ts';
import { AddressRates } from '../src/http/address-rates.ts';
import { keyRoutes } from '../src/http/key-routes.ts';
import { appWithMiddleware } from '../src/http/middleware.ts';
import type { KeyServer } from '../src/keyserver/key-server.ts';
import { jsonLog } from '../src/observe/log.ts';
import { Metrics } from '../src/observe/metrics.ts';
import { unlimited } from './release-world.ts';

/** The log is written as in production; only the terminal is spared. */
export const benchLog = jsonLog('info', new Writable({ write: (_chunk, _encoding, done) => done() }));
/** Metrics of all key servers of one process. */
export const benchMetrics = new Metrics();

/** The open port of a key server as in production, without limits that would stop one busy client. */
export function benchApp(keyServer: KeyServer) {
  const app = appWithMiddleware({
    log: benchLog,
    metrics: benchMetrics,
    random: systemRandom,
    now: () => performance.now(),
    maxBodyBytes: 64 * 1024,
    deadlineMs: 20_000,
    rate: new AddressRates(unlimited),
    peerAddress: () => '127.0.0.1',
  });
  keyRoutes(app, () => keyServer);
  return app;
}
