import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { decodeKeyslotFile } from '../../src/keyslots/keyslot-codec.ts';
import type { KeyslotReport } from '../../src/node/keyslot-report.ts';
import { agentUntil } from '../support/ask-agent.ts';
import { AuthorityWorld } from '../support/fleet-world.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type PlacedNetwork, placedNetwork } from '../support/two-node-network.ts';

/** Four nodes: each has three servers, two of which open its store. */
const COUNT = 4;
const fleet = new AuthorityWorld();

/** What `latchkey status --json` printed on a node. */
interface Status {
  readonly accountId: string;
  readonly state: string;
  readonly keyslots: KeyslotReport;
}

/** `latchkey fleet draft` with the status of nodes that run; steps build on one another. */
describe.sequential('status files of real nodes', { timeout: 300_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: PlacedNetwork;
  let subject: NodePlace;
  const at = (name: string): string => join(folder.path, name);
  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;

  beforeAll(async () => {
    folder = await tempFolder();
    const platforms = { recover: 'bound', servers: 'registered', clients: 'any' };
    network = await placedNetwork(folder.path, COUNT, { authority: fleet.authority, platforms });
    [subject = expect.fail()] = network.nodes;
    for (const node of network.nodes) node.start();
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isReady, 240_000);
  }, 300_000);

  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  /** Runs `latchkey status --json` and keeps what it prints. */
  async function statusOf(node: NodePlace, name: string): Promise<Status & { readonly file: string }> {
    const { stdout, stderr } = await node.run('status', '--json', '--config', node.configFile);
    expect(stderr).toBe('');
    writeFileSync(at(name), stdout);
    return { ...JSON.parse(stdout), file: at(name) };
  }

  const statusOfAll = (): Promise<(Status & { readonly file: string })[]> =>
    Promise.all(network.nodes.map((node, index) => statusOf(node, `status-${index}.json`)));

  /** Drafts a manifest that revokes platforms (`0x` hex of SHA-256(PPID)). */
  async function draft(revoked: readonly string[], ...args: readonly string[]) {
    const entries = revoked.map((platform) => ({ platform, owner: 'Example', place: 'rack' }));
    writeFileSync(at('content.yaml'), stringify({ revoked: entries }));
    const out = at(`draft-${drafts++}.json`);
    const files = ['--config', subject.configFile, '--content', at('content.yaml'), '--out', out];
    // What is asked here is what the stores lose, not what the platforms lose.
    const done = await subject.run('fleet', 'draft', ...files, '--accept-losses', ...args);
    return { ...done, isWritten: existsSync(out) };
  }
  let drafts = 0;

  it('say of the slots what the keyslot file has, and of each platform what its machine shows', async () => {
    const all = await statusOfAll();
    const own = new Map(all.map(({ accountId, keyslots }) => [accountId, keyslots.platform]));
    // Each node stands on the platform of its number.
    expect([...own.values()]).toEqual(
      [1, 2, 3, 4].map((number) => toPrefixedHex(sha256(network.mockTdx.pki.platform(number).facts.ppid))),
    );
    for (const [index, { accountId, keyslots }] of all.entries()) {
      const node = network.nodes[index] ?? expect.fail();
      const file = decodeKeyslotFile(readFileSync(join(node.home, 'data', 'node', 'keyslots')));
      const [newest] = file.generations;
      expect(encodeSs58(file.account)).toBe(accountId);
      expect(keyslots).toMatchObject({ generation: newest.generation, t: newest.t, n: newest.n });
      expect(keyslots.slots).toEqual(
        newest.slots.map(({ server }) => ({
          server: encodeSs58(server),
          platform: own.get(encodeSs58(server)),
          isLive: true,
        })),
      );
      expect([keyslots.t, keyslots.n]).toEqual([2, 3]);
    }
  });

  it('let one platform be revoked, and refuse what would lock stores: they are named', async () => {
    const all = await statusOfAll();
    const files = ['--status', ...all.map(({ file }) => file), '--chain'];
    const platforms = all.map(({ keyslots }) => keyslots.platform);
    const one = await draft(platforms.slice(1, 2), ...files);
    expect(one).toMatchObject({ code: 0, isWritten: true });
    const refused = await draft(platforms.slice(1), ...files);
    expect(refused).toMatchObject({ code: 1, isWritten: false });
    expect(refused.stderr).toContain('FLEET_DRAFT_REFUSED');
    const [{ accountId, keyslots } = expect.fail()] = all;
    expect(refused.stderr).toContain(`would lock ${accountId}: t is 2, and 1 of its slots would count`);
    for (const { server, platform } of keyslots.slots)
      expect(refused.stderr).toContain(`platform ${platform} (server ${server})`);
  });

  it('name the accounts of the chain that were not asked', async () => {
    const [first = expect.fail(), second = expect.fail(), ...others] = await statusOfAll();
    const revoked = [second.keyslots.platform];
    const refused = await draft(revoked, '--status', first.file, second.file, '--chain');
    expect(refused).toMatchObject({ code: 1, isWritten: false });
    for (const { accountId } of others)
      expect(refused.stderr).toContain(`not asked: ${accountId}: no status file`);
    expect(refused.stderr).not.toContain(`not asked: ${first.accountId}`);
    const accepted = await draft(revoked, '--status', first.file, '--chain', '--accept-unknown');
    expect(accepted).toMatchObject({ code: 0, isWritten: true });
  });

  it('count a server that died as gone: what was safe before is refused now', async () => {
    const [first = expect.fail(), second = expect.fail(), third = expect.fail()] = await statusOfAll();
    const revoked = [second.keyslots.platform, third.keyslots.platform];
    const before = await draft(revoked, '--status', first.file, '--chain', '--accept-unknown');
    expect(before).toMatchObject({ code: 0, isWritten: true });
    const last = network.nodes.at(-1) ?? expect.fail();
    await last.end('SIGKILL');
    await agentUntil(subject.socketPath, '/status', ({ json }) => json['state'] === 'degraded');
    const after = await statusOf(subject, 'after.json');
    expect(after.keyslots.slots.map(({ isLive }) => isLive).sort()).toEqual([false, true, true]);
    const refused = await draft(revoked, '--status', after.file, '--chain', '--accept-unknown');
    expect(refused).toMatchObject({ code: 1, isWritten: false });
    expect(refused.stderr).toContain(`would lock ${after.accountId}: t is 2, and 1 of its slots would count`);
  });
});
