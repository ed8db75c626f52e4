import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { base58 } from '@scure/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/observe/log.ts';
import { type RunningNode, startRunningNode } from '../support/running-node.ts';
import {
  confirmSlot,
  forgetKey,
  forgetSlots,
  lineageKeyOf,
  lineageStatus,
  markedBoot,
  obtainKey,
  type ReachableServer,
  reserveNumber,
  showBoot,
} from './independent-client.ts';

let running: RunningNode;
let server: ReachableServer;
const lines: string[] = [];

beforeAll(async () => {
  running = await startRunningNode((level, event, fields) => {
    lines.push(JSON.stringify({ level, event, ...fields }));
    silentLog(level, event, fields);
  });
  // On a network the chain says this; a node that is alone is asked itself.
  const info = (await (await fetch(`${running.url}/info`)).json()) as Record<string, string>;
  server = {
    url: running.url,
    account: base58.decode(info['accountId'] ?? '').slice(1, 33),
    x25519PublicKey: new Uint8Array(Buffer.from((info['x25519PublicKey'] ?? '').slice(2), 'hex')),
  };
});

afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
});

const bytes = (text: string | undefined): Uint8Array =>
  new Uint8Array(Buffer.from((text ?? '').slice(2), 'hex'));
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const stat = statSync(path);
    return stat.isDirectory() ? filesBelow(path) : stat.isFile() ? [path] : [];
  });
}

describe('a client written from docs/protocol.md', () => {
  it('imports no module of the project', () => {
    const source = readFileSync(new URL('./independent-client.ts', import.meta.url), 'utf8');
    expect(source).toContain("from '@hpke/core'");
    expect(source).not.toMatch(/from '\.|import\('/);
  });

  it('obtains a key from a running node twice and gets the same key', async () => {
    const account = random(32);
    const first = await obtainKey(server, running.mockTdx.url, { account });
    const second = await obtainKey(server, running.mockTdx.url, { account });
    expect(first.key).toMatch(/^0x[0-9a-f]{64}$/);
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second.key).toBe(first.key);
    expect(second.keyId).toBe(first.keyId);
  });

  it('creates, links, reserves, shows itself, recovers and forgets', async () => {
    const account = random(32);
    const slotId = random(16);
    const secret = random(32);
    const lineageKey = lineageKeyOf(secret, server);
    const first = markedBoot(secret, 1, random(8));
    const made = await obtainKey(server, running.mockTdx.url, { account, intent: 'create', slotId });
    const held = { account, slotId, key: bytes(made.key) };
    const recoveryToken = bytes(made.recoveryToken);
    const wish = { account, intent: 'recover', slotId, recoveryToken } as const;
    await expect(obtainKey(server, running.mockTdx.url, wish)).rejects.toThrow('SLOT_UNLINKED');
    await expect(confirmSlot(server, held, first)).rejects.toThrow('SLOT_UNLINKED');
    const linked = await confirmSlot(server, held, first, lineageKey);
    expect(linked.lineage).toMatchObject({ incarnation: 1, slots: [`0x${hex(slotId)}`], closed: false });

    const boot = random(8);
    const next = markedBoot(secret, 2, boot);
    expect((await reserveNumber(server, held, secret, 2, boot)).lineage).toMatchObject({
      reserved: 2,
      incarnation: 1,
    });
    expect((await showBoot(server, held, next)).lineage).toMatchObject({ incarnation: 2 });
    const back = await obtainKey(server, running.mockTdx.url, wish);
    expect(back).toMatchObject({ key: made.key, created: false, lineage: { incarnation: 2 } });
    expect(bytes(back.lineage?.bootId)).toEqual(next.bootId);
    const stolen = { ...wish, recoveryToken: random(32) };
    await expect(obtainKey(server, running.mockTdx.url, stolen)).rejects.toThrow('RECOVERY_PROOF_WRONG');

    expect(await forgetKey(server, held, first)).toMatchObject({ erased: false });
    expect(await forgetKey(server, held, next)).toMatchObject({ erased: true, lineage: { slots: [] } });
    await expect(obtainKey(server, running.mockTdx.url, wish)).rejects.toThrow('KEY_UNKNOWN');
    await expect(confirmSlot(server, held, next)).rejects.toThrow('KEY_UNKNOWN');
    const status = await lineageStatus(server, account, lineageKey);
    expect(status.lineage).toEqual({ ...back.lineage, slots: [] });
    await expect(lineageStatus(server, account, random(32))).rejects.toThrow('LINEAGE_UNKNOWN');
  });

  it('erases a slot by its lineage key alone', async () => {
    const account = random(32);
    const [kept, left] = [random(16), random(16)];
    const secret = random(32);
    const lineageKey = lineageKeyOf(secret, server);
    const boot = markedBoot(secret, 1, random(8));
    for (const slotId of [kept, left]) {
      const made = await obtainKey(server, running.mockTdx.url, { account, intent: 'create', slotId });
      await confirmSlot(server, { account, slotId, key: bytes(made.key) }, boot, lineageKey);
    }
    const { lineage } = await forgetSlots(server, account, lineageKey, boot, [left]);
    expect(lineage?.slots).toEqual([`0x${hex(kept)}`]);
  });

  it('leaves no key and no token in the log, in the metrics or in the folder of the node (K6)', async () => {
    const account = random(32);
    const wish = { account, intent: 'create', slotId: random(16) } as const;
    const made = await obtainKey(server, running.mockTdx.url, wish);
    const plain = await obtainKey(server, running.mockTdx.url, { account });
    const metrics = await (await fetch(`${running.node.addresses.metrics}/metrics`)).text();
    const files = filesBelow(running.folder).map((path) => readFileSync(path));
    expect(files.length).toBeGreaterThan(1);
    for (const secret of [made.key, made.recoveryToken, plain.key].map(bytes)) {
      expect(secret.length).toBe(32);
      for (const file of files) expect(file.includes(Buffer.from(secret))).toBe(false);
      const texts = [lines.join('\n'), metrics, ...files.map((file) => file.toString('latin1'))];
      for (const spelling of [Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64')]) {
        for (const text of texts) expect(text).not.toContain(spelling);
      }
    }
    expect(lines.join('\n')).toContain('key.released');
  });
});
