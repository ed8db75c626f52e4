import { writeFileSync } from 'node:fs';
import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { QuoteVerifier as DcapQvlVerifier } from '@phala/dcap-qvl';
import { Hono } from 'hono';
import { systemRandom } from '../src/crypto/random.ts';
import { listen } from '../src/http/listener.ts';
import { decodeKeyRequest } from '../src/protocol/decode.ts';
import { parseQuote } from '../src/tdx/verify-quote.ts';
import { benchApp, benchLog, benchMetrics } from './release-app.ts';
import { BareCryptography } from './release-floor.ts';
import { benchQuote, NOW_MS, quotedRequest, releaseWorld } from './release-world.ts';

/** What the server tells the bench once it listens. */
export interface ReleaseServerReady {
  readonly port: number;
  readonly constantPort: number;
  readonly bothPort: number;
  readonly comparisonPort: number;
}

/** What it answers to the message `floor`: durations of runs of the bare cryptography. */
export type FloorSeconds = readonly number[];

/** What it answers to the message `inside`: durations of releases without HTTP, and of the same quotes verified again. */
export interface InsideSeconds {
  readonly release: readonly number[];
  readonly verification: readonly number[];
}

const [requestsFile = '', count = '0', platforms = '1', floorRuns = '1', insideRuns = '1'] =
  process.argv.slice(2);
const world = releaseWorld(benchLog, benchMetrics);
// Not kept: the heap of the server is to hold what a server holds.
writeFileSync(
  requestsFile,
  JSON.stringify(
    Array.from({ length: Number(count) }, (_, index) => quotedRequest(world, index % Number(platforms))),
  ),
);

const sample = JSON.stringify(
  await world.keyServer.requestKey(JSON.parse(quotedRequest(world, 0)), 'sample'),
);

const constant = new Hono().post('/request-encryption-key', async (context) => {
  await context.req.text();
  return context.body(sample, 200, { 'content-type': 'application/json' });
});

const quotes = Array.from({ length: Number(platforms) }, (_, platform) =>
  benchQuote(world.pki, new Uint8Array(64), platform),
);
const cryptography = new BareCryptography(quotes, sample.length);
let turn = 0;
const both = new Hono().post('/request-encryption-key', async (context) => {
  await context.req.text();
  cryptography.run(turn++);
  return context.body(sample, 200, { 'content-type': 'application/json' });
});

const address = { host: '127.0.0.1', port: 0 };
const server = await listen(benchApp(world.keyServer).fetch, address);
const constantServer = await listen(constant.fetch, address);
const bothServer = await listen(both.fetch, address);
const comparisonServer = await listen(comparison().fetch, address);
process.on('message', async (message) => {
  if (message === 'floor') {
    process.send?.(cryptography.durations(Number(floorRuns)) satisfies FloorSeconds);
  } else if (message === 'inside') {
    process.send?.(await inside(Number(insideRuns)));
  } else process.exit();
});
process.send?.({
  port: server.port,
  constantPort: constantServer.port,
  bothPort: bothServer.port,
  comparisonPort: comparisonServer.port,
} satisfies ReleaseServerReady);

/** Releases inside of this process; each quote is verified once more, so that both meet the same caches. */
async function inside(runs: number): Promise<InsideSeconds> {
  const requests = Array.from({ length: runs }, (_, index) =>
    quotedRequest(world, index % Number(platforms)),
  );
  const release: number[] = [];
  const verification: number[] = [];
  for (const request of requests) {
    const quote = parseQuote(decodeKeyRequest(JSON.parse(request)).quote);
    const start = performance.now();
    JSON.stringify(await world.keyServer.requestKey(JSON.parse(request), 'inside'));
    const released = performance.now();
    await world.evidenceVerifier.verify(quote);
    release.push((released - start) / 1000);
    verification.push((performance.now() - released) / 1000);
  }
  return { release, verification };
}

/** A key server as one would build it from what npm has: the same route, fewer checks. */
function comparison(): Hono {
  const verifier = DcapQvlVerifier.newWithRootCa(Buffer.from(world.pki.authorities.root.certificate));
  const collateral = world.pki.collateral({ nowMs: NOW_MS });
  const suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Chacha20Poly1305(),
  });
  return new Hono().post('/request-encryption-key', async (context) => {
    const body = await context.req.json();
    verifier.verify(Buffer.from(body.quote, 'base64'), collateral, NOW_MS / 1000);
    const recipientPublicKey = await suite.kem.deserializePublicKey(
      new Uint8Array(Buffer.from(body.ephemeralPublicKey.slice(2), 'hex')).buffer,
    );
    const sealed = await suite.seal({ recipientPublicKey }, new Uint8Array(systemRandom(256)).buffer);
    return context.json({
      enc: Buffer.from(sealed.enc).toString('hex'),
      ciphertext: Buffer.from(sealed.ct).toString('base64'),
    });
  });
}
