import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { emptyRules, encodeBody } from '../../src/fleet/fleet-body.ts';
import { writeManifestFile } from '../../src/fleet/manifest-file.ts';
import { encodePlatformList } from '../../src/fleet/platform-list.ts';
import { measurementId } from '../../src/trust/measurement.ts';
import { agentUntil, askAgent } from '../support/ask-agent.ts';
import { AuthorityWorld } from '../support/fleet-world.ts';
import { runLatchkey } from '../support/run-latchkey.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

const fleet = new AuthorityWorld();
const custodians = ['alice', 'bob'] as const;
const value = Buffer.from('before the blackout').toString('base64');
const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;
const isLocked = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['state'] === 'locked';

/** Two nodes lose their power, and two custodians give both stores back; steps build on one another. */
describe.sequential('custody on the command line', { timeout: 180_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  const at = (name: string): string => join(folder.path, name);
  const keyOptions = (name: string) => ['--key', at(`${name}.key`), '--password-file', at(`${name}.pass`)];
  const requestOf = ({ configFile }: NodePlace, out: string) =>
    runLatchkey(['custody', 'request', '--config', configFile, '--out', at(out)]);
  const open = ({ configFile }: NodePlace, ...files: readonly string[]) =>
    runLatchkey(['custody', 'open', '--config', configFile, ...files.map(at)]);
  const answer = (
    name: string,
    place: NodePlace,
    files: { request: string; out: string },
    account: string,
    more: readonly string[] = [],
  ) =>
    runLatchkey([
      ...['custody', 'answer', '--config', place.configFile, ...keyOptions(name)],
      ...['--insecure-trust-root', place.rootFile, '--pccs', network.mockTdx.url],
      ...['--measurement', toPrefixedHex(measurementId(developmentMeasurements))],
      ...['--request', at(files.request), '--out', at(files.out), '--confirm', account, ...more],
    ]);
  const accountOf = async ({ socketPath }: NodePlace): Promise<string> =>
    String((await askAgent(socketPath, 'GET', '/status'))?.json['accountId']);
  const accounts: string[] = [];
  /** A manifest that revokes one platform, signed by the authority of the fleet. */
  const writeManifest = (name: string, platform: string): void => {
    const revoked = encodePlatformList({
      version: 1,
      platforms: [{ platform, owner: 'Example', place: 'rack 1', since: Date.now() }],
    });
    const body = encodeBody({ ...emptyRules, platforms: { revoked: toPrefixedHex(sha256(revoked)) } });
    const signed = fleet.sign(
      fleet.header({
        network: parsePrefixedHex(network.chain.genesisHash, 32, 'genesisHash'),
        bodyHash: sha256(body),
        issuedAtMs: Date.now(),
      }),
    );
    writeFileSync(at(name), writeManifestFile({ signed, body, revoked }));
  };

  beforeAll(async () => {
    folder = await tempFolder();
    const custody = { threshold: 2, custodians: [] as { name: string; key: string }[] };
    for (const name of custodians) {
      writeFileSync(at(`${name}.pass`), `the passphrase of ${name}\n`, { mode: 0o600 });
      const made = await runLatchkey([
        ...['custody', 'keygen', '--out', at(`${name}.key`), '--password-file', at(`${name}.pass`)],
      ]);
      expect(made.code, made.stderr).toBe(0);
      custody.custodians.push({
        name,
        key: /"(0x[0-9a-f]+)"/.exec(made.stdout)?.[1] ?? expect.fail(made.stdout),
      });
    }
    network = await twoNodeNetwork(folder.path, {}, { custody, authority: fleet.authority });
    for (const node of network.nodes) node.start();
    for (const node of network.nodes) {
      await agentUntil(node.socketPath, '/status', isReady);
      accounts.push(await accountOf(node));
    }
  }, 180_000);

  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('keygen: a file of mode 0600 that is never overwritten, and a key that the configuration takes', async () => {
    expect(statSync(at('alice.key')).mode & 0o777).toBe(0o600);
    const before = readFileSync(at('alice.key'));
    const again = await runLatchkey(['custody', 'keygen', '--out', ...keyOptions('alice').slice(1)]);
    expect(again.code).toBe(2);
    expect(readFileSync(at('alice.key'))).toEqual(before);
  });

  it('request: an open node makes none, and says why', async () => {
    const refused = await requestOf(network.nodes[0], 'too-early');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('CUSTODY_NOT_NEEDED');
  });

  it('check: the own part in a copy of the keyslot file opens, and for another key it does not', async () => {
    const keyslots = join(network.nodes[0].home, 'data', 'node', 'keyslots');
    const checked = await runLatchkey(['custody', 'check', ...keyOptions('bob'), '--keyslots', keyslots]);
    expect(checked.code, checked.stderr).toBe(0);
    expect(checked.stdout).toContain(`account ${accounts[0]}`);
    expect(checked.stdout).toContain('the part of bob opens; 2 of 2 are needed');
    await runLatchkey(['custody', 'keygen', '--out', at('eve.key'), '--password-file', at('bob.pass')]);
    const eve = await runLatchkey([
      ...[
        'custody',
        'check',
        '--key',
        at('eve.key'),
        '--password-file',
        at('bob.pass'),
        '--keyslots',
        keyslots,
      ],
    ]);
    expect(eve.stderr).toContain('CUSTODY_PART_WRONG');
  });

  it('a blackout locks both nodes', async () => {
    const [first] = network.nodes;
    expect((await askAgent(first.socketPath, 'PUT', '/kv/demo/name', { value }))?.status).toBeLessThan(300);
    await Promise.all(network.nodes.map((node) => node.end('SIGKILL')));
    for (const node of network.nodes) node.start();
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isLocked);
  });

  it('answer: refused for another account, for a revoked platform, and after a week; else given', async () => {
    const [first] = network.nodes;
    const [account = expect.fail(), other = expect.fail()] = accounts;
    const made = await requestOf(first, 'request-1');
    expect(made.code, made.stderr).toBe(0);
    const files = { request: 'request-1', out: 'alice-1' };
    const unconfirmed = await answer('alice', first, files, other);
    expect(unconfirmed.code).toBe(1);
    expect(unconfirmed.stderr).toContain('CUSTODY_UNCONFIRMED');
    expect(unconfirmed.stderr).toContain(`account        ${account}`);
    expect(unconfirmed.stderr).toContain('WARNING: no fleet manifest was given');
    const platform =
      /platform {7}(0x[0-9a-f]{64})/.exec(unconfirmed.stderr)?.[1] ?? expect.fail(unconfirmed.stderr);
    writeManifest('manifest', platform);
    const revoked = await answer('alice', first, files, account, ['--manifest', at('manifest')]);
    expect(revoked.code).toBe(1);
    expect(revoked.stderr).toContain('PLATFORM_REVOKED');
    expect(unconfirmed.stderr).toMatch(/made {11}.* minutes ago by the clock of this computer/);
    for (const name of custodians) {
      const given = await answer(name, first, { request: 'request-1', out: `${name}-1` }, account);
      expect(given.code, given.stderr).toBe(0);
    }
    expect(readFileSync(at('alice.key.journal'), 'utf8')).toContain(account);
    const old = await runLatchkey([
      ...['custody', 'answer', '--config', first.configFile, ...keyOptions('alice')],
      ...['--insecure-trust-root', first.rootFile, '--pccs', network.mockTdx.url],
      ...['--measurement', toPrefixedHex(measurementId(developmentMeasurements))],
      ...['--request', at('request-1'), '--confirm', account],
      ...['--now', new Date(Date.now() + 8 * 86_400_000).toISOString()],
    ]);
    expect(old.stderr).toContain('CUSTODY_REQUEST_OLD');
  });

  it('open: one answer is not enough, two open the store, and the value is there', async () => {
    const [first, second] = network.nodes;
    const one = await open(first, 'alice-1');
    expect(one.code, one.stderr).toBe(2);
    expect(one.stdout).toContain('parts of alice; 2 custodians are needed');
    const wrong = await open(second, 'alice-1');
    expect(wrong.stderr).toContain('CUSTODY_REQUEST_UNKNOWN');
    const both = await open(first, 'bob-1');
    expect(both.code, both.stderr).toBe(0);
    expect((await requestOf(second, 'request-2')).code).toBe(0);
    for (const name of custodians) {
      const files = { request: 'request-2', out: `${name}-2` };
      const given = await answer(name, second, files, accounts[1] ?? expect.fail());
      expect(given.code, given.stderr).toBe(0);
    }
    const last = await open(second, 'alice-2', 'bob-2');
    expect(last.code, last.stderr).toBe(0);
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isReady);
    expect((await askAgent(first.socketPath, 'GET', '/kv/demo/name'))?.json['value']).toBe(value);
    const status = await askAgent(first.socketPath, 'GET', '/status');
    expect(status?.json['custody']).toMatchObject({
      openings: [{ custodians: ['alice', 'bob'], forced: false }],
    });
  });
});
