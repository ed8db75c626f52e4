import { describe, expect, it } from 'vitest';
import { equalBytes } from '../../../src/bytes/concat.ts';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { EvidenceError } from '../../../src/errors/latchkey-error.ts';
import { bytesOf, journalAt, keyOf, secretOf, stateOf } from '../../support/dkg-members.ts';
import { EPOCH_STORE, newEpochDisk, openEpochStore } from '../../support/epoch-disk.ts';
import { containing } from '../../support/head-judge.ts';
import type { SimulatedDisk } from '../../support/simulated-disk.ts';

/** The only segment of a small store. */
const segmentOf = (disk: SimulatedDisk): { readonly path: string; readonly bytes: Uint8Array } => {
  const found = [...disk.files()].filter(([path]) => path.startsWith(`${EPOCH_STORE}/segment-`));
  const last = found.sort(([a], [b]) => (a < b ? -1 : 1)).at(-1);
  if (last === undefined) throw new Error('no segment');
  return { path: last[0], bytes: last[1] };
};

/** Three acknowledged acks, then the power went; with the length of the log after each. */
async function threeAcks(): Promise<{ readonly disk: SimulatedDisk; readonly ends: readonly number[] }> {
  const { disk, store } = await newEpochDisk();
  const journal = await journalAt(0, 'seed', store);
  const ends: number[] = [];
  for (const name of ['a', 'b', 'c']) {
    await journal.appendAck(0, keyOf(name), bytesOf(`ack ${name}`));
    ends.push(segmentOf(disk).bytes.length);
  }
  return { disk: disk.afterPowerCut('lost'), ends };
}

const namesIn = (journal: EpochJournal): string[] =>
  ['a', 'b', 'c', 'd'].filter((name) =>
    journal.acks(0).some(({ participant }) => Buffer.compare(participant, keyOf(name)) === 0),
  );

describe('E10 torn tail, then append and replay', () => {
  const cases: readonly [string, (bytes: Uint8Array, from: number) => Uint8Array, string[]][] = [
    ['missing size: one byte of the frame', (bytes, from) => bytes.slice(0, from + 1), ['a', 'b']],
    [
      'missing body: the frame ends in its first half',
      (bytes, from) => bytes.slice(0, from + 40),
      ['a', 'b'],
    ],
    ['missing check: the last 16 bytes are gone', (bytes) => bytes.slice(0, -16), ['a', 'b']],
    ['missing check: the last byte is gone (unaligned)', (bytes) => bytes.slice(0, -1), ['a', 'b']],
    ['bad check: the last byte is another', (bytes) => bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1), ['a', 'b']],
    ['bad body', (bytes, from) => bytes.with(from + 60, (bytes[from + 60] ?? 0) ^ 0x80), ['a', 'b']],
    ['the whole frame is gone (aligned)', (bytes, from) => bytes.slice(0, from), ['a', 'b']],
    ['the frame is all zeros', (bytes, from) => bytes.fill(0, from), ['a', 'b']],
    ['extra zeros', (bytes) => Uint8Array.from([...bytes, ...new Uint8Array(512)]), ['a', 'b', 'c']],
    ['extra junk', (bytes) => Uint8Array.from([...bytes, ...bytesOf('junk'), 1, 2, 3]), ['a', 'b', 'c']],
  ];
  it.each(cases)('%s', async (_, tear, expected) => {
    const { disk, ends } = await threeAcks();
    const { path, bytes } = segmentOf(disk);
    disk.tamper(path, tear(bytes.slice(), ends[1] ?? 0));
    const store = await openEpochStore(disk, 3);
    const journal = await EpochJournal.open(store);
    expect(namesIn(journal)).toEqual(expected);
    expect(await journal.appendAck(0, keyOf('d'), bytesOf('ack d'))).toBe(true);
    expect(await journal.appendAck(0, keyOf('c'), bytesOf('ack c'))).toBe(expected.length === 2);
    const again = await EpochJournal.open(await openEpochStore(disk.afterPowerCut('lost'), 4));
    expect(namesIn(again)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('the repair itself is durable: after a power cut right after opening, the store opens to the same state', async () => {
    const { disk, ends } = await threeAcks();
    const { path, bytes } = segmentOf(disk);
    disk.tamper(path, bytes.slice(0, (ends[1] ?? 0) + 9));
    await openEpochStore(disk, 3);
    const again = await EpochJournal.open(await openEpochStore(disk.afterPowerCut('lost'), 4));
    expect(namesIn(again)).toEqual(['a', 'b']);
    expect(segmentOf(disk.afterPowerCut('lost')).bytes).toHaveLength(ends[1] ?? 0);
  });
});

describe('E11 mid-file damage below the watermark is an error, not silent loss', () => {
  it('a changed byte before the last frame is refused with its position, and the files stay unchanged', async () => {
    const { disk, ends } = await threeAcks();
    const { path, bytes } = segmentOf(disk);
    for (let at = 0; at < (ends[1] ?? 0); at += 11) {
      const tampered = disk.clone();
      tampered.tamper(path, bytes.with(at, (bytes[at] ?? 0) ^ 0x10));
      const before = segmentOf(tampered).bytes;
      await expect(openEpochStore(tampered, 3)).rejects.toThrow(EvidenceError);
      expect(equalBytes(segmentOf(tampered).bytes, before)).toBe(true);
    }
  });

  it('after a clean close a shortened log is refused, and not treated as a torn tail', async () => {
    const { disk, store } = await newEpochDisk();
    const journal = await journalAt(0, 'seed', store);
    await journal.appendAck(0, keyOf('a'), bytesOf('ack'));
    await store.close();
    const { path, bytes } = segmentOf(disk);
    disk.tamper(path, bytes.slice(0, -1));
    await expect(openEpochStore(disk, 3)).rejects.toMatchObject({ family: 'evidence' });
  });

  it('a removed or exchanged segment is refused', async () => {
    const { disk, store } = await newEpochDisk(1, 2048);
    const journal = await journalAt(0, 'seed', store);
    for (let ack = 0; ack < 40; ack++) await journal.appendAck(0, keyOf(`${ack}`), bytesOf(`${ack}`));
    const segments = [...disk.files()].filter(([path]) => path.includes('/segment-'));
    expect(segments.length).toBeGreaterThan(2);
    const [first, second] = segments;
    if (first === undefined || second === undefined) throw new Error('no segments');
    const removed = disk.afterPowerCut('lost');
    removed.tamper(first[0], undefined);
    await expect(openEpochStore(removed, 3)).rejects.toMatchObject({ code: 'STORE_SEGMENT_MISSING' });
    const exchanged = disk.afterPowerCut('lost');
    exchanged.tamper(first[0], second[1]);
    await expect(openEpochStore(exchanged, 3)).rejects.toThrow(EvidenceError);
  });
});

describe('E12 sections, boundaries, rewind', () => {
  it('non-contiguous epochs, and an empty one in the middle', async () => {
    const { disk, store } = await newEpochDisk();
    const journal = await journalAt(2, 'two', store);
    for (const epoch of [1, 2, 9]) await journal.appendAck(epoch, keyOf('a'), bytesOf(`${epoch}`));
    await journal.commitEpoch(5, stateOf('five'));
    await journal.commitEpoch(9, stateOf('nine'));
    const again = await EpochJournal.open(await openEpochStore(disk.afterPowerCut('lost'), 3));
    expect(again.epochs()).toEqual([1, 2, 9]);
    expect(again.committed()).toEqual([2, 5, 9]);
    expect(again.acks(5)).toEqual([]);
    await again.prune(5);
    const pruned = await EpochJournal.open(await openEpochStore(disk.afterPowerCut('lost'), 4));
    expect(pruned.current()?.number).toBe(9);
  });

  it('messages with sizes at every boundary, in segments as small as a page', async () => {
    const { disk, store } = await newEpochDisk(1, 4096);
    const journal = await journalAt(0, 'seed', store);
    const sizes = [
      0,
      1,
      15,
      16,
      17,
      127,
      128,
      4079,
      4080,
      4095,
      4096,
      4097,
      16_383,
      16_384,
      65_536,
      1024 * 1024,
    ];
    for (const size of sizes) {
      const message = new Uint8Array(size).fill(size % 251);
      await journal.appendLog(0, keyOf(`${size}`), message);
      const privateMessage = secretOf(`${size}`);
      await journal.appendDealing(0, keyOf(`${size}`), { publicMessage: message, privateMessage });
    }
    const again = await EpochJournal.open(await openEpochStore(disk.afterPowerCut('lost'), 3, 4096));
    for (const size of sizes) {
      const found = again
        .logs(0)
        .find(({ participant }) => Buffer.compare(participant, keyOf(`${size}`)) === 0);
      const expected = new Uint8Array(size).fill(size % 251);
      expect(found !== undefined && equalBytes(found.message, expected)).toBe(true);
      expect((await again.privateDealing(0, keyOf(`${size}`)))?.equals(secretOf(`${size}`))).toBe(true);
    }
  });

  it('a rewound disk is a rollback: refused by a head that was deposited elsewhere', async () => {
    const { disk, store } = await newEpochDisk();
    const journal = await journalAt(0, 'seed', store);
    await journal.appendAck(0, keyOf('a'), bytesOf('ack'));
    await store.close();
    const old = disk.clone();
    const next = await openEpochStore(disk, 3);
    await (await EpochJournal.open(next)).appendAck(0, keyOf('b'), bytesOf('ack'));
    const admit = containing(next.head());
    await next.close();
    await expect(openEpochStore(old, 4, 1024 * 1024, admit)).rejects.toMatchObject({
      family: 'evidence',
    });
    await (await openEpochStore(disk, 5, 1024 * 1024, admit)).close();
  });
});

describe('E17 share and old shares are never readable in raw files, and erased after prune', () => {
  const secrets = ['share 0', 'share 1', 'seed 0', 'seed 1', 'part 0', 'part 1'];

  async function twoEpochs() {
    const { disk, store } = await newEpochDisk();
    const journal = await EpochJournal.open(store);
    for (const epoch of [0, 1]) {
      const share = { index: 1, scalar: secretOf(`share ${epoch}`) };
      await journal.commitEpoch(epoch, stateOf(`seed ${epoch}`, { round: epoch, share }));
      const privateMessage = secretOf(`part ${epoch}`);
      await journal.appendDealing(epoch, keyOf('dealer'), {
        publicMessage: bytesOf('public'),
        privateMessage,
      });
    }
    return { disk, store, journal };
  }

  it('E16 no plaintext in files: no secret, name or public message, in bytes, hex or base64', async () => {
    const { disk, journal } = await twoEpochs();
    await journal.prune(1);
    const sought = [...secrets, 'public', 'dealer'].flatMap((text) => {
      const bytes = Buffer.from(bytesOf(text));
      return [bytes, Buffer.from(bytes.toString('hex')), Buffer.from(bytes.toString('base64'))];
    });
    sought.push(Buffer.from('epochs/'), Buffer.from('dealing/'));
    for (const [path, bytes] of disk.files()) {
      for (const text of sought) expect(Buffer.from(bytes).includes(text), path).toBe(false);
    }
  });

  it('a host with a copy of the old log cannot restore the pruned secrets, even on a node with the store key', async () => {
    const { disk, store, journal } = await twoEpochs();
    const kept = disk.clone();
    await journal.prune(1);
    await store.close();
    for (const [path, bytes] of kept.files()) {
      if (path.includes('/segment-')) disk.tamper(path, bytes);
    }
    const reopened = await openEpochStore(disk, 3).catch((error: unknown) => error);
    if (reopened instanceof EvidenceError) return;
    if (reopened instanceof Error) throw reopened;
    const again = await EpochJournal.open(reopened as Awaited<ReturnType<typeof openEpochStore>>);
    expect(await again.secrets.getShare(0)).toBeUndefined();
  });

  it('the wrapped key of a pruned epoch is gone from the files', async () => {
    const { disk, store, journal } = await twoEpochs();
    const before = [...disk.files()].filter(([path]) => path.includes('/keys-'));
    await journal.prune(1);
    await store.close();
    const after = [...disk.files()].filter(([path]) => path.includes('/keys-'));
    // The keys file holds random, wrapped keys: those of epoch 0 (messages and secrets) are overwritten.
    const changed = before.flatMap(([path, bytes]) => {
      const now = after.find(([other]) => other === path)?.[1];
      return now === undefined ? [...bytes] : [...bytes].filter((byte, at) => byte !== now[at]);
    });
    expect(changed.length).toBeGreaterThan(2 * 24);
  });
});
