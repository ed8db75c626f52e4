import { writeFileSync } from 'node:fs';
import { systemRandom } from '../src/crypto/random.ts';
import { refuseWhenBusy } from '../src/http/key-routes.ts';
import { defaultListenerBounds, listen } from '../src/http/listener.ts';
import { requestIds } from '../src/http/middleware.ts';
import { benchApp, benchLog, benchMetrics } from './release-app.ts';
import { quotedRequest, releaseWorld } from './release-world.ts';

/** What the server tells the bench once it listens. */
export interface StormServerReady {
  readonly port: number;
}

const MANY = 100_000;
const [requestsFile = '', count = '0', platforms = '1'] = process.argv.slice(2);
const world = releaseWorld(benchLog, benchMetrics);
const requests = Array.from({ length: Number(count) }, (_, turn) =>
  quotedRequest(world, turn % Number(platforms)),
);
writeFileSync(requestsFile, JSON.stringify(requests));
// The load comes from one address here and from thousands in a storm.
const { port } = await listen(
  benchApp(world.keyServer).fetch,
  { host: '127.0.0.1', port: 0 },
  { ...defaultListenerBounds, maxConnectionsPerNetwork: MANY, maxConnectionsPerSite: MANY },
  refuseWhenBusy(() => world.keyServer, requestIds(systemRandom)),
);
process.on('message', () => process.exit());
process.send?.({ port } satisfies StormServerReady);
