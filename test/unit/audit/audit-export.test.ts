import { describe, expect, it } from 'vitest';
import { type AuditHead, extend } from '../../../src/audit/audit-chain.ts';
import { decodeEntry, encodeEntry } from '../../../src/audit/audit-entry.ts';
import { exportLog, verifyExport } from '../../../src/audit/audit-export.ts';
import { AuditLog } from '../../../src/audit/audit-log.ts';
import { concatBytes } from '../../../src/bytes/concat.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { sr25519PublicKey } from '../../../src/crypto/sr25519.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const nodeOf = (byte: number) => {
  const seed = new Uint8Array(32).fill(byte);
  return {
    account: AccountId.of(sr25519PublicKey(seed)),
    accountSeed: new SecretBytes(seed),
    storeId: new Uint8Array(16).fill(byte),
  };
};
const node = nodeOf(1);

async function logOf(of: ReturnType<typeof nodeOf>, entries: number, maxEntries = 1_000) {
  const store = new MemoryStore();
  const log = await AuditLog.open({ store, ...of, nowMs: () => 1_000, maxEntries });
  const heads: AuditHead[] = [log.head];
  for (let n = 0; n < entries; n++) {
    await log.append('key.released', { n, account: `account ${n} of ${of.storeId[0]}` });
    heads.push(log.head);
  }
  return { log, heads };
}

async function linesOf(log: Parameters<typeof exportLog>[0], of = node): Promise<string[]> {
  let text = '';
  for await (const bytes of exportLog(log, of, 2_000)) text += new TextDecoder().decode(bytes);
  return text.trimEnd().split('\n');
}

async function verify(lines: readonly string[], witnessed: readonly AuditHead[] = []) {
  async function* bytes() {
    for (const line of lines) yield new TextEncoder().encode(line);
  }
  let entries = 0;
  const verified = await verifyExport(
    bytes(),
    () => witnessed,
    () => {
      entries++;
    },
  );
  return { ...verified, entries };
}

const failsWith = (code: string) => expect.objectContaining({ code });

describe('export of an audit log', () => {
  it('verifies, and contains what others saw', async () => {
    const { log, heads } = await logOf(node, 5);
    const verified = await verify(await linesOf(log), [heads[2], heads[5], heads[0]] as AuditHead[]);
    expect(verified).toMatchObject({ entries: 5, seen: 3, signedAtMs: 2_000 });
    expect(verified.head).toEqual(log.head);
    expect(verified.account).toEqual(node.account);
  });

  it('verifies when it is empty, and when its oldest entries were removed', async () => {
    expect(await verify(await linesOf((await logOf(node, 0)).log))).toMatchObject({ entries: 0 });
    const { log, heads } = await logOf(node, 50, 20);
    const early = heads[3] as AuditHead;
    const verified = await verify(await linesOf(log), [early, heads[45] as AuditHead]);
    expect(verified.follows.sequence).toBeGreaterThan(0);
    // What was seen of entries that are gone proves nothing, and is not counted.
    expect(verified.seen).toBe(1);
  });

  it('has one spelling: no byte order mark, and nothing that is no UTF-8', async () => {
    const bytes = encodeEntry(1, 1_000, 'key.released', { account: 'a' });
    const [mark, last] = [new Uint8Array([0xef, 0xbb, 0xbf]), bytes.length - 1];
    expect(decodeEntry(bytes).sequence).toBe(1);
    expect(() => decodeEntry(concatBytes(mark, bytes))).toThrow(failsWith('AUDIT_ENTRY_INVALID'));
    const other = bytes.map((byte, at) =>
      byte === 0x61 && bytes[at - 1] === 0x22 && bytes[at + 1] === 0x22 ? 0xff : byte,
    );
    expect(other[last]).toBe(bytes[last]);
    expect(other).not.toEqual(bytes);
    expect(() => decodeEntry(other)).toThrow(failsWith('AUDIT_ENTRY_INVALID'));
    const [header = '', ...rest] = await linesOf((await logOf(node, 1)).log);
    await expect(verify([`\ufeff${header}`, ...rest])).rejects.toEqual(failsWith('AUDIT_EXPORT_INVALID'));
  });

  it('names the place of a line that is no entry', async () => {
    const lines = await linesOf((await logOf(node, 3)).log);
    const changed = lines.with(2, '{}');
    await expect(verify(changed)).rejects.toThrow('the line after entry 1');
  });

  it('shows every change of a byte', async () => {
    const lines = await linesOf((await logOf(node, 3)).log);
    for (let row = 0; row < lines.length; row++)
      for (let column = 0; column < (lines[row] ?? '').length; column++) {
        const line = lines[row] ?? '';
        const other = line[column] === '1' ? '2' : '1';
        const changed = lines.with(row, line.slice(0, column) + other + line.slice(column + 1));
        await expect(verify(changed), `line ${row}, column ${column}`).rejects.toThrow();
      }
  });

  it('shows every line that is left out, repeated, swapped or added', async () => {
    const lines = await linesOf((await logOf(node, 6)).log);
    const foreign = await linesOf((await logOf(nodeOf(2), 6)).log, nodeOf(2));
    for (let row = 0; row < lines.length; row++) {
      const line = lines[row] as string;
      await expect(verify(lines.toSpliced(row, 1)), `left out ${row}`).rejects.toThrow();
      await expect(verify(lines.toSpliced(row, 0, line)), `repeated ${row}`).rejects.toThrow();
      await expect(verify(lines.slice(0, row)), `cut before ${row}`).rejects.toThrow();
      await expect(verify(lines.with(row, foreign[row] as string)), `foreign ${row}`).rejects.toThrow();
      for (let other = row + 1; other < lines.length; other++) {
        const swapped = lines.with(row, lines[other] as string).with(other, line);
        await expect(verify(swapped), `swapped ${row} and ${other}`).rejects.toThrow();
      }
    }
  });

  it('shows a beginning that was cut off, although the header says so', async () => {
    const { log, heads } = await logOf(node, 6);
    const [first = '', ...rest] = await linesOf(log);
    for (let cut = 1; cut <= 6; cut++) {
      const header = JSON.parse(first);
      const { sequence, hash } = heads[cut] as AuditHead;
      header.follows = { hash: `0x${Buffer.from(hash).toString('hex')}`, sequence };
      const lines = [JSON.stringify(header), ...rest.slice(cut)];
      await expect(verify(lines), `cut ${cut}`).rejects.toThrow(failsWith('AUDIT_CHAIN_BROKEN'));
    }
    expect(await verify([first, ...rest])).toMatchObject({ entries: 6 });
  });

  it('says how many entries the node could not write, and that is signed', async () => {
    let isFull = false;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (isFull) throw new Error('full');
      },
    });
    const log = await AuditLog.open({ store, ...node, nowMs: () => 1_000, maxEntries: 1_000 });
    await log.append('node.started', {});
    isFull = true;
    await Promise.allSettled([log.append('key.released', {}), log.append('key.released', {})]);
    const lines = await linesOf(log);
    expect(await verify(lines)).toMatchObject({ entries: 1, behind: 2 });
    const last = (lines.at(-1) ?? '').replace('"behind":2', '"behind":0');
    await expect(verify(lines.with(-1, last))).rejects.toThrow(failsWith('AUDIT_CHAIN_BROKEN'));
  });

  it('shows a log that its node wrote again, by the heads that others keep', async () => {
    const { heads } = await logOf(node, 4);
    const rewritten = await logOf(node, 0);
    for (let n = 0; n < 4; n++) await rewritten.log.append('key.released', { n, account: 'somebody else' });
    const lines = await linesOf(rewritten.log);
    expect(await verify(lines)).toMatchObject({ entries: 4 });
    await expect(verify(lines, [heads[3] as AuditHead])).rejects.toThrow(failsWith('AUDIT_HEAD_OTHER'));
  });

  it('shows an older log, by the heads that others keep', async () => {
    const { heads } = await logOf(node, 9);
    const older = await linesOf((await logOf(node, 4)).log);
    await expect(verify(older, [heads[9] as AuditHead])).rejects.toThrow(failsWith('AUDIT_HEAD_OTHER'));
  });

  it('shows a log whose head another account signed', async () => {
    const { log } = await logOf(node, 2);
    const lines = await linesOf(log, { ...nodeOf(2), account: node.account, storeId: node.storeId });
    await expect(verify(lines)).rejects.toThrow(failsWith('AUDIT_CHAIN_BROKEN'));
  });

  it('refuses a beginning that is not of this store', async () => {
    const { log } = await logOf(node, 2);
    const lines = await linesOf(log, { ...node, storeId: new Uint8Array(16) });
    await expect(verify(lines)).rejects.toThrow(failsWith('AUDIT_CHAIN_BROKEN'));
  });

  it('refuses what is no export', async () => {
    for (const lines of [[], [''], ['{}'], ['null', 'null'], ['{"__proto__":1}', '', '']])
      await expect(verify(lines)).rejects.toThrow(failsWith('AUDIT_EXPORT_INVALID'));
  });

  it('refuses another spelling of header and signed head', async () => {
    const lines = await linesOf((await logOf(node, 1)).log);
    for (const row of [0, 2]) {
      const spaced = lines.with(row, (lines[row] as string).replace(':', ': '));
      await expect(verify(spaced)).rejects.toThrow(failsWith('AUDIT_EXPORT_INVALID'));
    }
  });

  it('refuses numbers that do not follow one another, although the hashes do', async () => {
    const { log } = await logOf(node, 1);
    const second = encodeEntry(3, 1_000, 'node.started', {});
    const made = {
      base: log.base,
      behind: 0,
      read: () => Promise.resolve(),
      flush: () => Promise.resolve(),
      async *entries(from: number) {
        yield* log.entries(from);
        yield { bytes: second, head: extend(log.head, second) };
      },
    };
    const lines = await linesOf(made);
    await expect(verify(lines)).rejects.toThrow('entry 3 follows entry 1');
  });

  it('writes nothing', async () => {
    const store = new MemoryStore();
    const log = await AuditLog.open({ store, ...node, nowMs: () => 1_000, maxEntries: 1_000 });
    await linesOf(log);
    expect(store.writes).toBe(0);
  });

  it('breaks off when entries are removed while it is read', async () => {
    const { log } = await logOf(node, 20, 20);
    const lines = exportLog(log, node, 2_000);
    await lines.next();
    for (let n = 0; n < 30; n++) await log.append('key.released', { n });
    await log.flush();
    await expect(lines.next()).rejects.toThrow(failsWith('AUDIT_ENTRY_INVALID'));
  });
});
