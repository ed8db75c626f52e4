import { describe, expect, it } from 'vitest';
import { openStoreOf } from '../../../src/boot/life/assemble-node.ts';
import type { GuardianParts } from '../../../src/boot/life/boot-stage.ts';
import { NodeFolder } from '../../../src/boot/node/node-folder.ts';
import { OwnMarks } from '../../../src/boot/node/own-marks.ts';
import type { RecoveredKey } from '../../../src/boot/obtain/recovery.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { Head } from '../../../src/protocol/mac-routes.ts';
import type { LogHead } from '../../../src/store/api/log-head.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { seededDice } from '../../support/disk-dice.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';

const NODE = '/node';
const key = new SecretBytes(new Uint8Array(32).fill(7));
const marks = new OwnMarks(key);
const one = new Uint8Array(40).fill(1);
let seed = 0;
const random = () => {
  seed += 1;
  return seededDice(seed).bytes;
};

/** A closed store of a node, and its heads after each of six records. */
async function closedStore(): Promise<{ readonly disk: SimulatedDisk; readonly heads: readonly LogHead[] }> {
  const disk = new SimulatedDisk();
  await disk.mkdir(NODE);
  const options = { fileSystem: disk, path: NodeFolder.storePath(NODE), storeKey: key, random: random() };
  const store = await SealedStore.create({ ...options, compaction: 'manual' });
  const space = await store.namespace('n');
  const heads: LogHead[] = [];
  for (let index = 0; index < 6; index += 1) {
    await space.put('name', one);
    heads.push(store.head());
  }
  await store.close();
  return { disk, heads };
}

/** Opens as a node does that was told this head. */
const open = (fileSystem: SimulatedDisk, head: Head | undefined, accept = false): Promise<SealedStore> => {
  const tools = { random: random() };
  const parts = { fileSystem, tools, acceptRolledBackStore: accept, log: () => undefined };
  // It takes no other parts, and nothing else of what was recovered.
  return openStoreOf(parts as unknown as GuardianParts, NODE, key, { head } as unknown as RecoveredKey);
};

const rolledBack = { code: 'STORE_ROLLED_BACK', family: 'evidence' };

describe('the head that servers remember', () => {
  it('opens a store that ends there or goes on from there', async () => {
    const { disk, heads } = await closedStore();
    for (const head of heads) await (await open(disk, marks.markHead(head))).close();
    await (await open(disk, undefined)).close();
  });

  it('refuses a store that ends before it, or is of an earlier generation, and leaves it as it was', async () => {
    const { disk, heads } = await closedStore();
    const [first, last] = [heads[0], heads.at(-1)];
    if (first === undefined || last === undefined) throw new Error('no heads');
    const before = disk.files();
    for (const head of [
      { ...last, sequence: last.sequence + 1 },
      { ...first, generation: first.generation + 1 },
    ])
      await expect(open(disk, marks.markHead(head))).rejects.toMatchObject(rolledBack);
    expect(disk.files()).toEqual(before);
  });

  it('refuses another history that is as long or longer', async () => {
    const { disk, heads } = await closedStore();
    const other = heads[2];
    if (other === undefined) throw new Error('no heads');
    const forked = { ...other, digest: Uint8Array.from(other.digest).fill(9, 15, 16) };
    await expect(open(disk, marks.markHead(forked))).rejects.toMatchObject(rolledBack);
    // What differs behind the deposited part is not compared.
    const same = { ...other, digest: Uint8Array.from(other.digest).fill(9, 16) };
    await (await open(disk, marks.markHead(same))).close();
  });

  it('in a part that compaction has taken opens a longer store', async () => {
    const { disk, heads } = await closedStore();
    const store = await open(disk, undefined);
    await store.compact();
    await store.close();
    const [first] = heads;
    if (first === undefined) throw new Error('no heads');
    await (await open(disk, marks.markHead(first))).close();
  });

  it('is not compared when the operator accepts a rolled-back store', async () => {
    const { disk, heads } = await closedStore();
    const [first, last] = [heads[0], heads.at(-1)];
    if (first === undefined || last === undefined) throw new Error('no heads');
    const store = await open(disk, marks.markHead({ ...last, sequence: last.sequence + 1 }), true);
    expect(store.head()).toEqual(last);
    await store.close();
  });
});
