import { describe, expect, it } from 'vitest';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { contentOf, fileOn, STORE_PATH, segmentPaths, storeOptions } from '../../support/store-on-disk.ts';

const putAs = (byte: number) => new Uint8Array(40).fill(byte);

/** Byte offsets at which frames begin. */
function frameStarts(segment: Uint8Array): number[] {
  const bytes = Buffer.from(segment);
  const starts: number[] = [];
  for (let at = 128; at + 72 <= bytes.length; at += 72 + bytes.readUInt32BE(at + 12) + 32) starts.push(at);
  return starts;
}

/**
 * Two histories of one store: the host copied the disk and let both copies go on, each with frames of the same lengths
 * and the same numbers of records.
 */
async function twoHistories() {
  const disk = new SimulatedDisk();
  const store = await SealedStore.create(storeOptions(disk));
  const space = await store.namespace('n');
  await space.put('common', putAs(1));
  const disks = [disk, disk.clone()] as const;
  await store.close();
  const stores = [
    await SealedStore.open(storeOptions(disks[0])),
    await SealedStore.open(storeOptions(disks[1])),
  ];
  for (const [index, each] of stores.entries()) {
    const records = await each.namespace('n');
    for (const name of ['a', 'b', 'c']) await records.put(name, putAs(10 * (index + 1)));
  }
  const cut = disks.map((each) => each.clone());
  for (const each of stores) await each.close();
  return { closed: disks, cut, contents: await Promise.all(disks.map(contentOn)) };
}

async function contentOn(disk: SimulatedDisk): Promise<Map<string, string>> {
  const store = await SealedStore.open(storeOptions(disk));
  const content = await contentOf(store);
  await store.close();
  return content;
}

describe('two histories of one store', () => {
  it('cannot be combined at any frame, neither cleanly closed nor cut off', async () => {
    const { closed, cut, contents } = await twoHistories();
    for (const [first, second] of [closed, cut]) {
      if (first === undefined || second === undefined) throw new Error('there are two');
      const [path = ''] = segmentPaths(first);
      const [ours, theirs] = [fileOn(first, path), fileOn(second, path)];
      const starts = frameStarts(ours);
      expect(frameStarts(theirs)).toEqual(starts);
      expect(starts.length).toBeGreaterThanOrEqual(5);
      // From the first frame that differs on, so that both parts hold records of their own history.
      for (const at of starts.slice(3)) {
        const trial = first.clone();
        trial.tamper(path, Buffer.concat([ours.subarray(0, at), theirs.subarray(at)]));
        await expect(SealedStore.open(storeOptions(trial)), `at ${at}`).rejects.toMatchObject({
          code: 'STORE_RECORD_MISPLACED',
        });
      }
    }
    expect(contents[0]).not.toEqual(contents[1]);
  });

  it('cannot exchange complete files: a manifest or a segment of the other history is refused', async () => {
    const { closed } = await twoHistories();
    const [first, second] = closed;
    const [path = ''] = segmentPaths(first);
    for (const file of [path, `${STORE_PATH}/MANIFEST`]) {
      const trial = first.clone();
      trial.tamper(file, fileOn(second, file));
      await expect(SealedStore.open(storeOptions(trial))).rejects.toMatchObject({
        code: expect.stringMatching(/^STORE_(RECORD_MISPLACED|SEGMENT_DAMAGED)$/) as string,
      });
    }
  });
});
