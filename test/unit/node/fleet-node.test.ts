import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { fleetCommand } from '../../../src/cli/commands/fleet.ts';
import { findingsOf } from '../../../src/cli/shared/doctor-findings.ts';
import {
  askServers,
  exitCodeOf,
  type PreflightAnswer,
  preflightLines,
} from '../../../src/cli/trust/preflight.ts';
import type { Config } from '../../../src/config/schema.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../../src/trust/trust-section.ts';
import { askAgent } from '../../support/ask-agent.ts';
import { textOf } from '../../support/fleet-texts.ts';
import { AuthorityWorld, fixed, network } from '../../support/fleet-world.ts';
import { type LoneNode, loneNode } from '../../support/lone-node.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';
import { defaultTrust } from '../../support/simulated-network-world.ts';

const DELAY_MS = 60_000;
const world = new AuthorityWorld();
const trust = {
  ...defaultTrust,
  chain: { ...defaultTrust.chain, genesisHash: toPrefixedHex(network) },
  authority: { ...world.authority, delayMs: DELAY_MS },
  platforms: { recover: 'bound', servers: 'registered', clients: 'any' },
} as const;
const nextSection = parseTrustSection({ ...trust, freshness: { tcbGraceMs: 1 } });
const nextHash = toPrefixedHex(trustHash(nextSection));
const nextImage = toPrefixedHex(fixed('image'));

/** The section of the node; a reload changes it in place. */
let fleet: Config['fleet'];
let asked: string[];
let net: SimulatedNetwork;
let lone: LoneNode;
let folder: string;
beforeEach(async () => {
  net = new SimulatedNetwork(941, undefined, trust);
  await net.form(3);
  fleet = { ...net.world.config.fleet };
  asked = [];
  lone = await loneNode(net.world, {
    config: { fleet },
    fetch: async (url) => {
      asked.push(String(url));
      return new Response('', { status: 404 });
    },
  });
  await lone.node.start();
  for (let waited = 0; lone.node.state.name !== 'backed'; waited += 250) {
    if (waited > 300_000) throw new Error('the node is not backed');
    await net.world.clock.advance(250);
  }
  folder = await mkdtemp(join(tmpdir(), 'latchkey-fleet-'));
}, 120_000);
afterEach(async () => {
  await lone[Symbol.asyncDispose]();
  await net.close();
  await rm(folder, { recursive: true });
}, 120_000);

const since = () => net.world.clock.nowMs();
const manifest = () =>
  world.issue(
    { trustHashes: [{ hash: nextHash, since: since() }], measurements: [{ id: nextImage, since: since() }] },
    { issuedAtMs: since() },
  );
const socket = (): string => lone.node.addresses.agent.slice('unix:'.length);
const status = async () => (await askAgent(socket(), 'GET', '/status'))?.json;

/** Runs `latchkey fleet publish` for the node. */
async function publish(...texts: readonly string[]): Promise<readonly string[]> {
  const paths = texts.map((_, index) => join(folder, `manifest-${index}.json`));
  for (const [index, path] of paths.entries()) await writeFile(path, texts[index] ?? '');
  const config = join(folder, 'latchkey.yaml');
  await writeFile(
    config,
    stringify({
      node: { dataFolder: folder },
      chain: { endpoints: ['ws://127.0.0.1:1'] },
      quote: { source: 'configfs' },
      collateral: { endpoints: ['http://127.0.0.1:1'] },
      agent: { socketPath: socket() },
      trust: { chain: { genesisHash: trust.chain.genesisHash } },
    }),
  );
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: unknown) => void lines.push(String(line)));
  await fleetCommand().parseAsync(['publish', '--config', config, ...paths], { from: 'user' });
  log.mockRestore();
  return lines;
}

const server = () => ({
  account: lone.node.open?.identity.account ?? AccountId.of(new Uint8Array(32)),
  endpoint: new URL(lone.node.addresses.listen).host,
});
const preflight = (asked: { trustHash: string; measurement?: string }) => askServers([server()], asked);

it('a published manifest is taken, shown, and decides what preflight says', async () => {
  const own = toPrefixedHex(trustHash(trust));
  const image = toPrefixedHex(measurementId(net.world.body));
  expect(await preflight({ trustHash: own, measurement: image })).toMatchObject([{ verdict: 'accepts' }]);
  const before = await preflight({ trustHash: nextHash, measurement: nextImage });
  expect(before).toMatchObject([{ verdict: 'refuses' }]);
  expect(before[0]?.reason).toMatch(/^TRUST_SECTION_REFUSED.*; MEASUREMENT_REFUSED/);
  expect(before[0]?.reason).not.toContain('from');

  const thief = new AuthorityWorld('thief').issue({}, { serial: 9, issuedAtMs: since() });
  const lines = await publish(textOf(manifest()), textOf(thief));
  expect(lines[0]).toMatch(/: taken$/);
  expect(lines[1]).toMatch(/: refused: FLEET_AUTHORITY_OTHER/);
  expect(process.exitCode).toBe(1);
  process.exitCode = 0;
  expect(lines.at(-1)).toContain('serial 1');
  expect(await status()).toMatchObject({ fleet: { manifest: { serial: 1 }, waiting: [{}, {}] } });
  const readyz = await (await fetch(`${lone.node.addresses.listen}/readyz`)).json();
  expect(readyz).toMatchObject({ fleet: { manifest: { serial: 1 } } });
  const metrics = await (await fetch(`${lone.node.addresses.metrics}/metrics`)).text();
  expect(metrics).toContain('latchkey_fleet_serial 1');
  expect(metrics).toContain('latchkey_fleet_waiting 2');

  expect(await status()).toMatchObject({ fleetAdvice: [] });
  const waiting = await preflight({ trustHash: nextHash });
  expect(waiting[0]?.reason).toContain('; the fleet manifest allows it from 20');
  await net.settle(2 * DELAY_MS);
  expect(await preflight({ trustHash: nextHash, measurement: nextImage })).toMatchObject([
    { verdict: 'accepts' },
  ]);
  // The image alone is not enough.
  const other = toPrefixedHex(fixed('other'));
  expect(await preflight({ trustHash: nextHash, measurement: other })).toMatchObject([
    { verdict: 'refuses' },
  ]);
}, 120_000);

it('doctor says what the running node knows, and what it warns of', async () => {
  const findings = async (path: string) => {
    const found = await findingsOf(
      { ...net.world.config, agent: { ...net.world.config.agent, socketPath: path } },
      lone.parts,
      [],
    );
    return found.filter(({ check }) => check === 'fleet').map(({ level, text }) => `${level}: ${text}`);
  };
  expect(await findings(socket())).toEqual(['good: no manifest yet']);
  await publish(textOf(manifest()));
  expect(await findings(socket())).toEqual(['good: the newest manifest has serial 1']);
  const other = world.issue({}, { issuedAtMs: since() + 1 });
  await publish(textOf(other));
  const [, warning] = await findings(socket());
  expect(warning).toMatch(/^warning: Two fleet manifests have the serial 1/);
  expect((await findings(join(folder, 'nobody')))[0]).toMatch(/^warning: no node runs/);
}, 60_000);

it('what is asked has to be well formed', async () => {
  const answer = await fetch(`${lone.node.addresses.listen}/accepts?trustHash=0x12`);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ code: 'FIELD_INVALID' });
  const body = { format: 'other' };
  const refused = await askAgent(socket(), 'PUT', '/manifests', body);
  expect(refused?.json['code']).toBe('FLEET_FILE_MALFORMED');
}, 60_000);

it('a server that lies or is silent is no acceptance', async () => {
  const says = (text: string, code = 200) =>
    askServers(
      [server()],
      { trustHash: nextHash, measurement: nextImage },
      async () => new Response(text, { status: code }),
    );
  const yes = { accepted: true };
  for (const [text, code] of [
    ['{}', 200],
    ['not JSON', 200],
    [JSON.stringify({ trustHash: yes }), 200],
    [JSON.stringify({ trustHash: yes, measurement: yes, more: 1 }), 200],
    [JSON.stringify({ trustHash: yes, measurement: yes }), 503],
    ['x'.repeat(20_000), 200],
  ] as const)
    expect((await says(text, code))[0]?.verdict, text.slice(0, 60)).toBe('unknown');
  expect((await says(JSON.stringify({ trustHash: yes, measurement: yes })))[0]?.verdict).toBe('accepts');
  const long = {
    accepted: false,
    code: 'C'.repeat(1_000),
    detail: 'd'.repeat(5_000),
    from: 'f'.repeat(1_000),
  };
  const [refused] = await says(JSON.stringify({ trustHash: yes, measurement: long }));
  expect(refused?.verdict).toBe('refuses');
  expect(refused?.reason?.length).toBeLessThan(500);
});

it('preflight counts in words, and its exit code says the worst', () => {
  const answer = (verdict: PreflightAnswer['verdict'], reason?: string): PreflightAnswer => ({
    server: 'S',
    endpoint: 'e:1',
    verdict,
    ...(reason === undefined ? {} : { reason }),
  });
  const all = [answer('accepts'), answer('refuses', 'R'), answer('unknown', 'U')];
  const lines = preflightLines({ trustHash: nextHash, measurement: nextImage }, all);
  expect(lines[0]).toBe(
    `1 of 3 servers would accept the trust section ${nextHash} and the image ${nextImage}`,
  );
  expect(lines[1]).toContain('not, because R');
  expect(lines[2]).toContain('did not say, because U');
  expect(lines[3]).toContain('trust.authority');
  expect(preflightLines({ trustHash: nextHash }, all.slice(0, 1))).toHaveLength(1);
  expect([all, all.slice(0, 1), [answer('accepts'), answer('unknown')], []].map(exitCodeOf)).toEqual([
    1, 0, 2, 2,
  ]);
});

it('asks sources and reads files that a reload has brought', async () => {
  fleet.sources = ['http://new-source.example/fleet'];
  fleet.files = [join(folder, 'not-there.json')];
  asked = [];
  await net.world.clock.advance(2 * fleet.intervalMs);
  expect(asked.some((url) => url.startsWith('http://new-source.example/fleet'))).toBe(true);
  expect(lone.events.some(({ event }) => event === 'fleet.file-not-read')).toBe(true);
});
