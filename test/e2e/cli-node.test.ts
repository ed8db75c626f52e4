import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { LatchkeyNode } from '../../src/node/latchkey-node.ts';
import { buildParts } from '../../src/node/parts.ts';
import { insecureTrustRoot } from '../../src/tdx/verify-quote.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { agentUntil, askAgent } from '../support/ask-agent.ts';
import { memoryOf } from '../support/server-memory.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

const TOKEN = 'a-write-token-of-this-test-4711';
const KEY = 'c3'.repeat(32);
const base64 = (text: string): string => Buffer.from(text).toString('base64');

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const found = statSync(path);
    return found.isDirectory() ? filesBelow(path) : found.isFile() ? [path] : [];
  });
}

/** Name and content of every file, so that any change shows. */
const pictureOf = (folder: string): string[] =>
  filesBelow(folder).map((path) => `${path} ${toHex(sha256(readFileSync(path)))}`);

/** The commands of a node against a real chain, real quotes and a peer; steps build on one another. */
describe.sequential('a node that is operated by its commands', { timeout: 180_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  let peer: LatchkeyNode;
  const peerLog: string[] = [];
  const derived: string[] = [];
  const rootArgs = () => ['--config', subject.configFile, '--insecure-trust-root', subject.rootFile];

  const url = (section: 'listen' | 'metrics' | 'decryptions', path: string): string => {
    const { port } = subject.config[section] as { port: number };
    return `http://127.0.0.1:${port}${path}`;
  };
  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;

  beforeAll(async () => {
    folder = await tempFolder();
    const tokenFile = join(folder.path, 'token');
    writeFileSync(tokenFile, `${TOKEN}\n`);
    const { freePort } = await import('../../devnet/free-port.ts');
    network = await twoNodeNetwork(folder.path, {
      decryptions: { port: await freePort(), writeAuthorization: { kind: 'bearer', tokenFile: '../token' } },
    });
    [subject] = network.nodes;
    const [, place] = network.nodes;
    const config = loadConfig(readFileSync(place.configFile, 'utf8'), {});
    const peerConfig = { ...config, node: { dataFolder: join(place.home, 'data') } };
    const log = (level: string, event: string, fields: unknown) =>
      peerLog.push(JSON.stringify({ level, event, fields }));
    const trustRoot = insecureTrustRoot(network.mockTdx.rootPem);
    peer = new LatchkeyNode(peerConfig, buildParts(peerConfig, { log, trustRoot }));
    await peer.start();
    subject.start();
  }, 180_000);

  afterAll(async () => {
    await peer?.close();
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('config check and trust hash print the hash that the machine must be measured with', async () => {
    const check = await subject.run('config', 'check', '--config', subject.configFile);
    const expected = toPrefixedHex(trustHash(parseTrustSection(network.trust)));
    expect(check).toMatchObject({ code: 0, stdout: `good; trust hash ${expected}\n` });
    const hash = await subject.run('trust', 'hash', '--config', subject.configFile);
    expect(hash.stdout).toBe(`${expected}\n`);
    const missing = subject.write('no-token.yaml', {
      ...subject.config,
      decryptions: { writeAuthorization: { kind: 'bearer', tokenFile: './nowhere' } },
    });
    const refused = await subject.run('config', 'check', '--config', missing);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('CONFIG_INVALID: decryptions.writeAuthorization.tokenFile');
  });

  it('K9 serve reaches the state backed, and every listener reports it', async () => {
    await agentUntil(subject.socketPath, '/status', isReady);
    expect(statSync(subject.socketPath).mode & 0o777).toBe(0o600);
    expect(await (await fetch(url('listen', '/healthz'))).json()).toEqual({ ok: true });
    expect((await fetch(url('listen', '/readyz'))).status).toBe(200);
    expect(await (await fetch(url('listen', '/info'))).json()).toMatchObject({
      state: 'backed',
      mode: 'INSECURE: injected trust root',
    });
    const metrics = await (await fetch(url('metrics', '/metrics'))).text();
    expect(metrics).toContain('latchkey_node_state{state="backed"} 1');
    expect(metrics).toContain('latchkey_insecure_trust_root 1');
    expect(metrics).toContain('latchkey_decryptions_waiting 0');
  });

  it('the agent keeps values and rituals', async () => {
    const { socketPath } = subject;
    const value = { value: base64('kept') };
    expect((await askAgent(socketPath, 'PUT', '/kv/demo/a', value))?.json).toEqual({ replaced: false });
    const ritual = { timestamp: 5, fragment: base64('fragment') };
    expect((await askAgent(socketPath, 'PUT', '/rituals/7', ritual))?.json).toEqual({ written: true });
    expect((await askAgent(socketPath, 'GET', '/openapi.json'))?.json['openapi']).toBe('3.1.0');
  });

  it('the decryption service takes writes with the token only, and wakes waiting requests', async () => {
    const waiting = fetch(url('decryptions', `/decryption/${KEY}`));
    const put = (authorization: string) =>
      fetch(url('decryptions', `/decryption/${KEY}`), {
        method: 'PUT',
        headers: { authorization },
        body: JSON.stringify({ value: 42, signature: base64('s') }),
      });
    expect((await put('Bearer wrong-token-of-this-test')).status).toBe(401);
    expect((await put(`Bearer ${TOKEN}`)).status).toBe(200);
    const found = await (await waiting).json();
    expect(found).toEqual({ value: 42, signature: base64('s') });
  });

  it('status prints text, JSON and the next steps; exit 0 when ready', async () => {
    const text = await subject.run('status', '--config', subject.configFile, '--explain');
    expect(text.code).toBe(0);
    expect(text.stdout).toContain('backed (1 of 1 slots live, 1 needed)');
    expect(text.stdout).toContain('Its store is backed');
    const json = await subject.run('status', '--config', subject.configFile, '--json');
    const report = JSON.parse(json.stdout);
    expect(report).toMatchObject({ state: 'backed', ready: true, live: 1, n: 1, t: 1 });
    expect(report.slots).toHaveLength(1);
  });

  it('rotate changes the store key of the running node, only after a confirmation', async () => {
    const generation = async () => (await askAgent(subject.socketPath, 'GET', '/status'))?.json['generation'];
    const before = Number(await generation());
    const asked = await subject.run('rotate', '--config', subject.configFile);
    expect(asked.code).toBe(1);
    expect(asked.stdout).toContain('Nothing was changed');
    expect(await generation()).toBe(before);
    const done = await subject.run('rotate', '--config', subject.configFile, '--yes', '--json');
    expect(done.code, done.stderr).toBe(0);
    expect(JSON.parse(done.stdout)).toEqual({ rotated: true, generation: before + 1 });
    expect((await askAgent(subject.socketPath, 'GET', '/kv/demo/a'))?.json).toEqual({
      value: base64('kept'),
    });
  });

  it('a second start on the same folder is refused, and the first process continues', async () => {
    const same = await subject.run('serve', ...rootArgs());
    expect(same.code).toBe(2);
    expect(same.stderr).toContain('LISTEN_FAILED');
    const elsewhere = subject.write('elsewhere.yaml', {
      ...subject.config,
      listen: { host: '127.0.0.1', port: 0 },
      metrics: { host: '127.0.0.1', port: 0 },
      decryptions: undefined,
    });
    const other = await subject.run(
      'serve',
      '--config',
      elsewhere,
      '--insecure-trust-root',
      subject.rootFile,
    );
    expect(other.code).toBe(2);
    expect(other.stderr).toContain('agent.sock');
    const unlock = await subject.run('unlock', ...rootArgs());
    expect(unlock.code).toBe(1);
    expect(unlock.stderr).toContain('NODE_RUNNING');
    expect((await askAgent(subject.socketPath, 'GET', '/kv/demo/a'))?.json).toEqual({
      value: base64('kept'),
    });
  });

  it('K7 SIGTERM ends the node cleanly, and after a second start identity and data are there', async () => {
    const before = (await askAgent(subject.socketPath, 'GET', '/status'))?.json;
    await subject.end('SIGTERM');
    expect(subject.log().trimEnd().split('\n').at(-1)).toContain('"node.stopped"');
    const none = await subject.run('status', '--config', subject.configFile);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('NODE_UNREACHABLE');
    subject.start();
    const { json: after } = await agentUntil(subject.socketPath, '/status', isReady);
    for (const key of ['accountId', 'x25519PublicKey'])
      expect([key, after[key]]).toEqual([key, before?.[key]]);
    expect(before?.['accountId']).toMatch(/^5/);
    expect((await askAgent(subject.socketPath, 'GET', '/kv/demo/a'))?.json).toEqual({
      value: base64('kept'),
    });
    expect((await askAgent(subject.socketPath, 'GET', '/rituals/7'))?.json['fragment']).toBe(
      base64('fragment'),
    );
    expect(await (await fetch(url('decryptions', `/decryption/${KEY}`))).json()).toMatchObject({ value: 42 });
    await subject.end('SIGTERM');
  });

  it('unlock opens once; --derive gives the same key after every restart, and another key for another label', async () => {
    const open = await subject.run('unlock', ...rootArgs(), '--json');
    expect(open.code, open.stderr).toBe(0);
    expect(JSON.parse(open.stdout)).toMatchObject({ state: 'open' });
    for (const label of ['luks/data', 'luks/data', 'luks/other']) {
      const { code, stdout, stderr } = await subject.run('unlock', ...rootArgs(), '--derive', label);
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
      derived.push(stdout.trim());
    }
    expect(derived[0]).toBe(derived[1]);
    expect(derived[0]).not.toBe(derived[2]);
  });

  it('K6: no key, seed or token is on any disk or in any log', async () => {
    const keys = [...(peer.keyServer === undefined ? [] : memoryOf(peer.keyServer).keys())].map(({ key }) =>
      key.reveal(),
    );
    const node = peer.open;
    if (node === undefined) throw new Error('the peer is not open');
    const own = [node.storeKey, node.identity.accountSeed].map((secret) => secret.reveal());
    const slots = node.book.slots().map(({ slot }) => node.book.keyOf(slot.slotId)?.reveal());
    const secrets = [...keys, ...own, ...slots.filter((slot) => slot !== undefined)].map((key) =>
      Buffer.from(key),
    );
    expect(keys.length).toBeGreaterThan(0);
    expect(slots.length).toBeGreaterThan(0);
    const hex = derived.map((text) => Buffer.from(text, 'hex'));
    const needles = [...secrets, ...hex].flatMap((secret) => [
      secret,
      Buffer.from(secret.toString('hex')),
      Buffer.from(secret.toString('base64')),
    ]);
    const places = network.nodes.flatMap(({ home }) => filesBelow(home));
    const contents = [...places.map((path) => readFileSync(path)), Buffer.from(peerLog.join('\n'))];
    expect(contents.length).toBeGreaterThan(6);
    for (const needle of [...needles, Buffer.from(TOKEN)])
      expect(contents.filter((content) => content.includes(needle))).toEqual([]);
  });

  it('K12 without its peer the node stays locked: exit 2, the reason, and no changed byte', async () => {
    await peer.close();
    const data = join(subject.home, 'data', 'node');
    const before = pictureOf(data);
    const locked = await subject.run('unlock', ...rootArgs(), '--json');
    expect(locked.code).toBe(2);
    expect(JSON.parse(locked.stdout)).toMatchObject({ state: 'locked', have: 0, need: 1 });
    expect(pictureOf(data)).toEqual(before);
  });

  it('a locked node keeps its API up, and its agent refuses requests with the state', async () => {
    subject.start();
    const isLocked = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['state'] === 'locked';
    await agentUntil(subject.socketPath, '/status', isLocked);
    expect((await fetch(url('listen', '/readyz'))).status).toBe(503);
    expect((await fetch(url('listen', '/healthz'))).status).toBe(200);
    const refused = await askAgent(subject.socketPath, 'GET', '/kv/demo/a');
    expect(refused).toMatchObject({ status: 503, json: { code: 'NODE_LOCKED', observed: 'locked' } });
    const decryption = await fetch(url('decryptions', `/decryption/${KEY}`));
    expect(decryption.status).toBe(503);
    expect(await decryption.json()).toMatchObject({ code: 'NODE_LOCKED' });
    const explained = await subject.run('status', '--config', subject.configFile, '--explain');
    expect(explained.code).toBe(2);
    expect(explained.stdout).toContain('The store is untouched');
    await subject.end('SIGTERM');
  });

  it('abandon lists what is lost, and moves the folder away only with --yes', async () => {
    const data = join(subject.home, 'data');
    const before = pictureOf(data);
    const inNode = filesBelow(join(data, 'node'));
    const asked = await subject.run('abandon', '--config', subject.configFile);
    expect(asked.code).toBe(1);
    expect(asked.stdout).toContain('Nothing was changed');
    expect(pictureOf(data)).toEqual(before);
    const done = await subject.run('abandon', '--config', subject.configFile, '--yes');
    expect(done.code, done.stderr).toBe(0);
    const [aside] = readdirSync(data).filter((name) => name.startsWith('node.abandoned-'));
    expect(filesBelow(join(data, aside ?? ''))).toHaveLength(inNode.length);
    const again = await subject.run('abandon', '--config', subject.configFile, '--yes');
    expect(again.stderr).toContain('NODE_MISSING');
  });
});
