import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { toBase64 } from '../../../src/bytes/base64.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import type { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { NO_INCARNATION } from '../../../src/lineage/incarnation.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import {
  claimContent,
  keyStatusContent,
  lineageKeyNumber,
  NO_CONTENT,
  newSlotId,
  ProtocolClient,
} from '../../support/protocol-client.ts';

/** Every encoding in which a secret could appear in text. */
const spellings = (secret: SecretBytes | undefined): string[] => {
  const bytes = secret?.reveal() ?? new Uint8Array();
  const hex = toHex(bytes);
  const decimal = [...bytes.subarray(0, 8)].join(',');
  return [
    hex,
    hex.toUpperCase(),
    toBase64(bytes).slice(0, 40),
    Buffer.from(bytes).toString('base64url').slice(0, 40),
    decimal,
  ];
};

describe('secrets leave a key server only sealed (K6)', () => {
  it('no log line, answer, metric or printed object shows a key or a token', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const slotId = newSlotId();
    const plain = await client.obtain();
    const attempt = await client.prepare({ intent: 'create', slotId });
    const created = await client.submit(attempt);
    const grant = client.open(attempt, created);
    const slot = { slotId, key: grant.key };
    const lineageKey = lineageKeyNumber(1);
    const linked = keyStatusContent({ confirm: true, lineage: client.sealed(slot, lineageKey) });
    const texts = [
      created.text,
      (await client.submit(attempt)).text,
      (await client.submit(await client.prepare({ intent: 'create', slotId }))).text,
      (await client.submit(await client.prepare({ intent: 'recover', slotId }))).text,
      (await client.sendMac('key-status', slot, linked).reply).text,
      (await client.sendMac('lineage-status', { lineageKey }, NO_CONTENT).reply).text,
      (await client.sendMac('lineage-status', { lineageKey }, NO_CONTENT, {}, 1).reply).text,
      (await client.sendMac('key-status', slot, keyStatusContent({}), { mac: `0x${'00'.repeat(32)}` }).reply)
        .text,
      (await client.sendMac('forget', slot, claimContent(NO_INCARNATION), {}, 1).reply).text,
      await world.metrics.text(),
      inspect(world.keyServer, { depth: 20, showHidden: true }),
      inspect(world.vault, { depth: 20, showHidden: true }),
      inspect([...world.vault.keys()], { depth: 20, showHidden: true }),
      JSON.stringify([...world.vault.keys()]),
      world.logText(),
    ];
    expect(world.logText()).toContain('key.released');
    expect(world.logText()).toContain('key.refused');
    for (const spelling of [grant.key, grant.recoveryToken, plain.key, lineageKey].flatMap(spellings)) {
      expect(spelling.length).toBeGreaterThan(15);
      for (const text of texts) expect(text).not.toContain(spelling);
    }
  });

  it('the ciphertext does not open with another account, instance, sender or report data', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const attempt = await client.prepare();
    const reply = await client.submit(attempt);
    const other = await client.prepare();
    expect(() => client.open({ ...attempt, ephemeral: other.ephemeral }, reply)).toThrow('does not open');
    expect(() => client.open({ ...attempt, reportData: other.reportData }, reply)).toThrow('does not open');
    expect(() => client.open({ ...attempt, account: client.world.account }, reply)).toThrow('does not open');
    const instanceId = `0x${'00'.repeat(16)}`;
    expect(() => client.open(attempt, { ...reply, json: { ...reply.json, instanceId } })).toThrow(
      'does not open',
    );
    const impostor = new ProtocolClient(keyServerWorld({ seed: 2 }), client.account);
    expect(() => impostor.open(attempt, reply)).toThrow('does not open');
    expect(client.open(attempt, reply).created).toBe(true);
  });

  it('keys, tokens and answers are erased when the server is wiped', async () => {
    const client = new ProtocolClient(keyServerWorld());
    await client.obtainLinked();
    const [held] = [...client.world.vault.keys()];
    const bytes = held?.key.reveal() ?? new Uint8Array();
    const token = held?.recoveryToken?.reveal() ?? new Uint8Array();
    const lineage = held?.lineage?.key.reveal() ?? new Uint8Array();
    client.world.keyServer.wipe();
    expect([...bytes, ...token, ...lineage].some((byte) => byte !== 0)).toBe(false);
    expect(bytes.length + token.length + lineage.length).toBe(96);
    expect(client.world.vault.lineageCount).toBe(0);
    expect(client.world.vault.size).toBe(0);
  });
});
