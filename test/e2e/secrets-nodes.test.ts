import { Buffer } from 'node:buffer';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startUpstream, tlsIdentity } from '../../devnet/tls-upstream.ts';
import { parseBase64 } from '../../src/bytes/base64.ts';
import { utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { buildParts } from '../../src/node/parts.ts';
import { openUserDirectory } from '../../src/node/user-directory.ts';
import { silentLog } from '../../src/observe/log.ts';
import { attestationAnswer } from '../../src/protocol/decode.ts';
import { SecretClient } from '../../src/secrets/client/secret-client.ts';
import { PLACEHOLDER } from '../../src/secrets/relay/outgoing-request.ts';
import { parseQuote } from '../../src/tdx/quote.ts';
import { insecureTrustRoot } from '../../src/tdx/verify-quote.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { eventually } from '../support/chain-fixtures.ts';
import { type RingNetwork, type RingPlace, ringNetwork } from '../support/ring-network.ts';
import { runLatchkey } from '../support/run-latchkey.ts';
import { ALICE, aclOf, seedOf } from '../support/secret-records.ts';

const DAY_MS = 86_400_000;
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)),
  );

/** `latchkey secret`, each command a process of its own. */
async function useCommands(
  net: RingNetwork,
  place: RingPlace,
  image: Uint8Array,
  url: string,
): Promise<void> {
  const file = (name: string, text: string): string => {
    const path = join(place.folder, name);
    writeFileSync(path, text);
    return path;
  };
  const common = [
    ...['--config', file('user.yaml', net.configText(place)), '--measurement', toPrefixedHex(image)],
    ...['--key', file('user.key', `${toPrefixedHex(seedOf(1).reveal())}\n`)],
    ...['--insecure-trust-root', file('root.pem', net.mockTdx.rootPem)],
  ];
  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await runLatchkey(['secret', ...args, ...common], 'sk-2');
    expect(`${stdout}${stderr}`).not.toContain('0x0101');
    if (code !== 0) return stderr;
    return stdout;
  };
  const acl = file('acl.json', JSON.stringify({ paths: ['/v1/**'] }));
  const value = ['--url', url, '--value', '-', '--acl', acl];
  expect(JSON.parse(await run('deploy', ...value))).toMatchObject({ url, version: 1 });
  expect(await run('deploy', ...value)).toContain('SECRET_EXISTS');
  const header = `Authorization: ${PLACEHOLDER}`;
  const request = ['request', '--secret', url, '--url', `${url}/x`, '--header', header];
  expect(await run(...request)).toBe('for sk-2');
  expect(await run('list')).toContain('"pathPrefix":"/v1/commands"');
  expect(JSON.parse(await run('update', ...value))).toMatchObject({ version: 2 });
  expect(JSON.parse(await run('delete', '--url', url))).toMatchObject({ version: 3, deleted: true });
  expect(await run(...request)).toContain('SECRET_NOT_FOUND');
}

describe('secrets at real nodes', { timeout: 240_000 }, () => {
  it('X2, X11, X12, X13: a secret is deployed, used, survives its nearest nodes and restarts, is deleted, and stays deleted', async () => {
    const identity = tlsIdentity(['api.test']);
    await using upstream = await startUpstream((request, response) => {
      response.end(`for ${request.headers.authorization}`);
    }, identity);
    await using net = await ringNetwork(5, 4, {
      trust: { relay: { authorities: [identity.cert] } },
      config: { secrets: { users: [encodeSs58(ALICE)], relay: { allowAddresses: ['127.0.0.1'] } } },
      resolve: async () => ['127.0.0.1'],
    });
    const [first] = net.places;
    if (first === undefined) return expect.fail('there are nodes');
    const overrides = { log: silentLog, trustRoot: insecureTrustRoot(net.mockTdx.rootPem) };
    const parts = buildParts(net.configOf(first), overrides);
    const attestation = await fetch(`${first.url}/attestation`).then((answer) => answer.json());
    const { quote } = attestationAnswer.parse(attestation);
    const { body } = parseQuote(parseBase64(quote, 'quote'));
    const stop = new AbortController();
    const open = (image: Uint8Array) => openUserDirectory(net.configOf(first), parts, image, stop.signal);
    const clientOf = (directory: Awaited<ReturnType<typeof open>>) =>
      new SecretClient({
        owner: { account: ALICE, seed: seedOf(1) },
        directory,
        fetch: (url, init) => fetch(url, init),
        random: systemRandom,
        now: () => Date.now(),
      });
    const url = `https://api.test:${upstream.port}/v1`;
    const secret = { url, value: utf8('sk-1'), acl: aclOf(), expiresAtMs: Date.now() + DAY_MS };
    // Nothing is sent to nodes that run another image than the user accepts.
    expect(await codeOf(clientOf(await open(new Uint8Array(32))).deploy(secret))).toBe('NODE_UNREACHABLE');

    const client = clientOf(await open(measurementId(body)));
    expect(await client.deploy(secret)).toBe(1);
    const headers = [['authorization', PLACEHOLDER] as const];
    const use = () =>
      eventually(async () => {
        const request = { secretUrl: url, verb: 'GET', url: `${url}/x`, headers, body: new Uint8Array(0) };
        const answer = await client.request(request).catch(() => undefined);
        return answer === undefined ? undefined : Buffer.from(answer.body).toString();
      });
    expect(await use()).toBe('for sk-1');

    const id = await client.list().then(([listed]) => Buffer.from(`${listed?.id.slice(2)}`, 'hex'));
    const holders = first.ring.view.placement.replicasOf(id).map(({ account }) => encodeSs58(account));
    const placeOf = (account: string | undefined) =>
      net.places.find(
        ({ node }) => encodeSs58(node.open?.identity.account ?? new Uint8Array(32)) === account,
      );
    const nearest = placeOf(holders[0]) ?? expect.fail('the nearest node runs');
    await net.untilHealed();
    await nearest.stop();
    expect(await use()).toBe('for sk-1');
    await nearest.start();
    await nearest.until('serving');
    for (const place of net.places) {
      await net.untilHealed();
      await place.stop();
      await place.start();
      await place.until('serving');
    }
    expect(await use()).toBe('for sk-1');
    const deleted = eventually(() => client.delete(url, Date.now() + DAY_MS).catch(() => undefined));
    expect(await deleted).toBe(2);
    const request = { secretUrl: url, verb: 'GET', url: `${url}/x`, headers, body: new Uint8Array(0) };
    expect(await codeOf(client.request(request))).toBe('SECRET_NOT_FOUND');
    await useCommands(net, first, measurementId(body), `${url}/commands`);
    const told = net.places.map(({ events }) => JSON.stringify(events)).join();
    expect(told).not.toContain('sk-1');
    stop.abort();
    await parts.chain[Symbol.asyncDispose]();
    await parts.collateral.close();
    await parts.earlyCollateral?.close();
  });
});
