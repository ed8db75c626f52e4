import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { LatchkeyNode } from '../../src/node/latchkey-node.ts';
import { buildParts } from '../../src/node/parts.ts';
import { insecureTrustRoot } from '../../src/tdx/verify-quote.ts';
import { agentUntil, askAgent } from '../support/ask-agent.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Name and content of every file below, so that any change shows; sockets and folders count by name. */
const pictureOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const path = join(folder, name);
      return `${name} ${statSync(path).isFile() ? toHex(sha256(readFileSync(path))) : ''}`;
    })
    .sort();

/** Backup, a damaged disk, and the way back; steps build on one another. */
describe.sequential('backup and restore of a node', { timeout: 180_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  let other: NodePlace;
  let peer: LatchkeyNode;
  const at = (name: string): string => join(folder.path, name);
  const dataOf = ({ home }: NodePlace): string => join(home, 'data');
  const nodeFolder = (): string => join(dataOf(subject), 'node');
  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;
  const isLockedBecause =
    (code: string) =>
    ({ json }: { json: Readonly<Record<string, unknown>> }) =>
      json['state'] === 'locked' && String(json['reason']).includes(code);
  /** Until it is acknowledged: on a busy machine the node may not be open yet. */
  const put = async (name: string): Promise<void> => {
    for (let attempt = 0; ; attempt++) {
      const answer = await askAgent(subject.socketPath, 'PUT', `/kv/demo/${name}`, { value: base64(name) });
      if (answer !== undefined && answer.status < 300) return;
      if (attempt === 100) throw new Error(`${name} was not stored: ${JSON.stringify(answer)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const readValue = async (name: string) =>
    (await askAgent(subject.socketPath, 'GET', `/kv/demo/${name}`))?.json['value'];
  const backup = (place: NodePlace, to: string) =>
    place.run('backup', '--config', place.configFile, '--to', at(to), '--json');
  const restore = (from: string, ...more: readonly string[]) =>
    subject.run(
      'restore',
      ...['--config', subject.configFile, '--insecure-trust-root', subject.rootFile, '--from', at(from)],
      ...more,
    );
  const restoreNewest = (...more: readonly string[]) =>
    subject.run(
      ...['restore', '--config', subject.configFile, '--insecure-trust-root', subject.rootFile],
      ...more,
    );
  const headAtPeer = (): number =>
    Math.max(
      0,
      ...[...(peer.keyServer?.vault.keys() ?? [])].map(({ lineage }) => lineage?.facts.head?.sequence ?? 0),
    );

  async function startPeer(): Promise<void> {
    const config = loadConfig(readFileSync(other.configFile, 'utf8'), {});
    const peerConfig = { ...config, node: { dataFolder: dataOf(other) } };
    const trustRoot = insecureTrustRoot(network.mockTdx.rootPem);
    peer = new LatchkeyNode(peerConfig, buildParts(peerConfig, { log: () => undefined, trustRoot }));
    await peer.start();
  }

  beforeAll(async () => {
    folder = await tempFolder();
    network = await twoNodeNetwork(folder.path, { backup: { location: at('backups') } });
    [subject, other] = network.nodes;
    await startPeer();
    subject.start();
    await agentUntil(subject.socketPath, '/status', isReady);
  }, 180_000);

  afterAll(async () => {
    await peer?.close();
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('backup while the node writes: two files of mode 0600, and no existing file is overwritten', async () => {
    await put('kept');
    const writing = (async () => {
      for (let index = 0; index < 30; index++) await put(`meanwhile-${index}`);
    })();
    const done = await backup(subject, 'first');
    await writing;
    expect(done.code, done.stderr).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({ backup: at('first'), keyslots: at('first.keyslots') });
    for (const name of ['first', 'first.keyslots']) expect(statSync(at(name)).mode & 0o777).toBe(0o600);
    expect(readFileSync(at('first.keyslots'))).toEqual(readFileSync(join(nodeFolder(), 'keyslots')));
    const before = pictureOf(folder.path).filter((line) => line.startsWith('first'));
    const again = await backup(subject, 'first');
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('STORE_FILE_UNWRITABLE');
    expect(pictureOf(folder.path).filter((line) => line.startsWith('first'))).toEqual(before);
  });

  it('R14 backup.location: a new file in a folder that must be there, and is never made', async () => {
    const unnamed = () => subject.run('backup', '--config', subject.configFile, '--json');
    const unmounted = await unnamed();
    expect([unmounted.code === 0, existsSync(at('backups'))]).toEqual([false, false]);
    expect(unmounted.stderr).toContain('STORE_FILE_UNWRITABLE');
    const elsewhere = await subject.run('backup', '--config', other.configFile);
    expect([elsewhere.code === 0, elsewhere.stderr.includes('backup.location')]).toEqual([false, true]);
    mkdirSync(at('backups'));
    const done = await unnamed();
    expect(done.code, done.stderr).toBe(0);
    const names = readdirSync(at('backups')).sort();
    expect(names).toEqual([
      expect.stringMatching(/^store-\d{8}T\d{6}Z$/),
      expect.stringMatching(/^store-\d{8}T\d{6}Z\.keyslots$/),
    ]);
    expect(JSON.parse(done.stdout)).toMatchObject({ backup: join(at('backups'), names[0] ?? '') });
  });

  it('backup keeps no file of a stream that was cut off or is not a backup', async () => {
    const whole = readFileSync(at('first'));
    const answers = {
      short: (send: (bytes: Uint8Array) => void) => send(whole.subarray(0, whole.length - 30)),
      garbage: (send: (bytes: Uint8Array) => void) => send(Buffer.alloc(1_000, 7)),
    };
    for (const [name, answer] of Object.entries(answers)) {
      for (const isCut of [false, true]) {
        const socketPath = at('false-agent.sock');
        const server = createServer((_request, response) => {
          answer((bytes) => response.write(bytes));
          if (isCut) setImmediate(() => response.destroy());
          else response.end();
        });
        await once(server.listen(socketPath), 'listening');
        const config = subject.write('false-agent.yaml', { ...subject.config, agent: { socketPath } });
        const { code, stderr } = await subject.run('backup', '--config', config, '--to', at('cut'));
        server.close();
        expect(code, name).not.toBe(0);
        expect(stderr).toMatch(/STORE_BACKUP_(TRUNCATED|INVALID)|NODE_UNREACHABLE/);
        if (!isCut) expect(code).toBe(1);
        expect(readdirSync(folder.path).filter((file) => file.startsWith('cut'))).toEqual([]);
      }
    }
  });

  it('after a restart of a server there are newer slots; a second backup and a backup of the other node are made', async () => {
    await peer.close();
    await startPeer();
    const first = readFileSync(at('first.keyslots'));
    await agentUntil(subject.socketPath, '/status', isReady);
    await expect
      .poll(() => readFileSync(join(nodeFolder(), 'keyslots')).equals(first), { timeout: 60_000 })
      .toBe(false);
    await agentUntil(subject.socketPath, '/status', isReady);
    await expect.poll(headAtPeer, { timeout: 60_000 }).toBeGreaterThan(0);
    const before = headAtPeer();
    expect((await backup(subject, 'second')).code).toBe(0);
    copyFileSync(at('second'), join(at('backups'), 'store-20980101T000000Z'));
    // None of these is the newest backup.
    for (const name of [
      'store-20970101T000000Z',
      'store-20990101T000000Z.keyslots',
      'store-2099',
      'unrelated',
    ])
      writeFileSync(join(at('backups'), name), 'no backup');
    await put('late');
    await expect.poll(headAtPeer, { timeout: 60_000 }).toBeGreaterThan(before);
    const ofOther = await backup(other, 'other');
    expect(ofOther.code, ofOther.stderr).toBe(0);
  });

  it('restore refuses while the node runs, and while there is a store', async () => {
    const running = await restore('second');
    expect(running.code).toBe(1);
    expect(running.stderr).toContain('NODE_RUNNING');
    await subject.end('SIGTERM');
    const before = pictureOf(dataOf(subject));
    const present = await restore('second');
    expect(present.code).toBe(1);
    expect(present.stderr).toContain('STORE_EXISTS');
    expect(pictureOf(dataOf(subject))).toEqual(before);
  });

  it('a damaged store stays locked, and its owner moves it away', async () => {
    const segment = join(nodeFolder(), 'store', 'segment-0000000001');
    const bytes = readFileSync(segment);
    bytes[300] = (bytes[300] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    subject.start();
    await agentUntil(subject.socketPath, '/status', isLockedBecause('STORE_'));
    const none = await backup(subject, 'locked');
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('NODE_LOCKED');
    expect(existsSync(at('locked'))).toBe(false);
    await subject.end('SIGTERM');
    renameSync(join(nodeFolder(), 'store'), at('damaged'));
  });

  it('restore refuses a backup of another node, half a backup and stale slots, and changes nothing', async () => {
    const whole = readFileSync(at('second'));
    writeFileSync(at('half'), whole.subarray(0, whole.length >> 1));
    const before = pictureOf(dataOf(subject));
    for (const [name, code] of [
      ['other', 'STORE_WRONG_KEY'],
      ['half', 'STORE_BACKUP_TRUNCATED'],
    ] as const) {
      const refused = await restore(name);
      expect(refused.code, refused.stderr).toBe(1);
      expect(refused.stderr).toContain(code);
      expect(pictureOf(dataOf(subject))).toEqual(before);
    }
    const inPlace = join(nodeFolder(), 'keyslots');
    renameSync(inPlace, at('newest.keyslots'));
    const without = pictureOf(dataOf(subject));
    const missing = await restore('second');
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('KEYSLOT_FILE_MISSING');
    const stale = await restore('first', '--keyslots', at('first.keyslots'), '--json');
    expect(stale.code, stale.stderr).toBe(2);
    expect(JSON.parse(stale.stdout)).toMatchObject({ state: 'locked', have: 0, need: 1 });
    expect(pictureOf(dataOf(subject))).toEqual(without);
    copyFileSync(at('newest.keyslots'), inPlace);
  });

  it('restore succeeds, and the node opens only after an explicit confirmation', async () => {
    renameSync(at('backups'), at('unmounted'));
    const unmounted = await restoreNewest('--json');
    expect([unmounted.code === 0, unmounted.stderr.includes('INPUT_UNREADABLE')]).toEqual([false, true]);
    renameSync(at('unmounted'), at('backups'));
    const done = await restoreNewest('--json');
    expect(done.code, done.stderr).toBe(0);
    expect(done.stderr).toContain('store-20980101T000000Z');
    expect(JSON.parse(done.stdout)).toMatchObject({ keyslots: 'in-place', needsRollbackOverride: true });
    subject.start();
    await agentUntil(subject.socketPath, '/status', isLockedBecause('STORE_ROLLED_BACK'));
    await subject.end('SIGTERM');
    subject.start('--accept-rolled-back-store');
    await agentUntil(subject.socketPath, '/status', isReady);
    expect(await readValue('kept')).toBe(base64('kept'));
    expect(await readValue('meanwhile-29')).toBe(base64('meanwhile-29'));
    expect(await readValue('late')).toBeUndefined();
    await put('afterwards');
    await subject.end('SIGTERM');
    subject.start();
    await agentUntil(subject.socketPath, '/status', isReady);
    expect(await readValue('afterwards')).toBe(base64('afterwards'));
    await subject.end('SIGTERM');
  });

  it('restore onto an empty disk works with the copy of the keyslot file', async () => {
    copyFileSync(join(nodeFolder(), 'keyslots'), at('last.keyslots'));
    rmSync(dataOf(subject), { recursive: true });
    const done = await restore('first', '--keyslots', at('last.keyslots'));
    expect(done.code, done.stderr).toBe(0);
    expect(done.stdout).toContain('--accept-rolled-back-store');
    subject.start();
    await agentUntil(subject.socketPath, '/status', isLockedBecause('STORE_ROLLED_BACK'));
    // The running node is told, in place of a start with the option.
    const accept = (...flags: readonly string[]) =>
      subject.run('accept-rollback', '--config', subject.configFile, ...flags);
    const asked = await accept();
    expect([asked.code, asked.stdout.includes('Nothing was changed')]).toEqual([1, true]);
    expect(asked.stdout).toMatch(
      /this disk: incarnation \d+, sequence \d+\.\nWhat .*: incarnation \d+, sequence \d+/,
    );
    await agentUntil(subject.socketPath, '/status', isLockedBecause('STORE_ROLLED_BACK'));
    const accepted = await accept('--yes');
    expect(accepted.code, accepted.stderr).toBe(0);
    expect(accepted.stdout).toContain('accepted:');
    await agentUntil(subject.socketPath, '/status', isReady);
    expect(await readValue('kept')).toBe(base64('kept'));
    const audit = await subject.run('audit', 'show', '--config', subject.configFile);
    expect(audit.stdout.split('node.started').at(-1)).toContain('acceptRolledBackStore=true');
    const none = await accept('--yes');
    expect([none.code, none.stderr.includes('ROLLBACK_NOT_REFUSED')]).toEqual([2, true]);
  });
});
