import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AuditHead, extend, startOfLog } from '../../../src/audit/audit-chain.ts';
import { encodeEntry } from '../../../src/audit/audit-entry.ts';
import { exportLog } from '../../../src/audit/audit-export.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { verifyFile } from '../../../src/cli/audit/verify.ts';
import { sr25519PublicKey } from '../../../src/crypto/sr25519.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const nodeOf = (byte: number) => {
  const seed = new Uint8Array(32).fill(byte);
  return {
    account: AccountId.of(sr25519PublicKey(seed)),
    accountSeed: new SecretBytes(seed),
    storeId: new Uint8Array(16).fill(byte),
  };
};

/** A signed export with these events, of which the first ones were removed, and all its heads. */
async function exportOf(of: ReturnType<typeof nodeOf>, events: readonly string[], removed = 0) {
  const heads: AuditHead[] = [startOfLog(of.account, of.storeId)];
  const stored = events.map((event, index) => {
    // The name of an event is free text for a hostile node.
    const bytes = encodeEntry(index + 1, 1_000, event as 'node.started', {});
    const head = extend(heads[index] as AuditHead, bytes);
    heads.push(head);
    return { bytes, head };
  });
  const log = {
    base: heads[removed] as AuditHead,
    behind: 0,
    read: async () => undefined,
    flush: async () => undefined,
    async *entries(from: number) {
      yield* stored.slice(from - 1);
    },
  };
  let text = '';
  for await (const bytes of exportLog(log, of, 2_000)) text += new TextDecoder().decode(bytes);
  return { text, heads };
}

describe('latchkey audit verify', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let printed: string[] = [];

  beforeEach(async () => {
    folder = await tempFolder();
    printed = [];
    vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await folder[Symbol.asyncDispose]();
  });

  const at = (name: string) => join(folder.path, name);
  const writeHeads = (of: AccountId, heads: readonly AuditHead[]) =>
    writeFile(
      at('heads.json'),
      JSON.stringify({
        heads: heads.map(({ sequence, hash }) => ({
          server: encodeSs58(of),
          sequence,
          hash: toPrefixedHex(hash),
          seenAtMs: 1,
        })),
      }),
    );
  const verifyWithHeads = () => verifyFile(at('log'), { heads: [at('heads.json')], json: true });
  const otherHead = expect.objectContaining({ code: 'AUDIT_HEAD_OTHER' });

  it('refuses the log of another account, however well it is signed, when heads were given', async () => {
    const seen = await exportOf(nodeOf(1), ['node.started', 'key.released']);
    await writeHeads(nodeOf(1).account, seen.heads.slice(1));
    await writeFile(at('log'), seen.text);
    await verifyWithHeads();
    expect(JSON.parse(printed[0] ?? '')).toMatchObject({ headsGiven: 2, headsFound: 2, behind: 0 });
    const made = await exportOf(nodeOf(2), ['node.started']);
    await writeFile(at('log'), made.text);
    await expect(verifyWithHeads()).rejects.toEqual(otherHead);
  });

  it('refuses a log that begins after all heads that were given', async () => {
    const { text, heads } = await exportOf(nodeOf(1), ['node.started', 'key.released', 'drain.started'], 2);
    await writeFile(at('log'), text);
    await writeHeads(nodeOf(1).account, heads.slice(1, 2));
    await expect(verifyWithHeads()).rejects.toEqual(otherHead);
    await writeHeads(nodeOf(1).account, heads.slice(1, 3));
    await verifyWithHeads();
    expect(JSON.parse(printed[0] ?? '')).toMatchObject({ follows: 2, headsGiven: 2, headsFound: 1 });
  });

  it('does not remember the names of events that it does not know', async () => {
    const events = Array.from(
      { length: 500 },
      (_, n) => `event.${String.fromCharCode(97 + (n % 26)).repeat(1 + n / 26)}`,
    );
    await writeFile(at('log'), (await exportOf(nodeOf(1), [...events, 'node.started'])).text);
    await verifyFile(at('log'), { json: true });
    expect(JSON.parse(printed[0] ?? '').events).toEqual({ 'node.started': 1, 'of other kinds': 500 });
  });
});
