import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeBackup, RestoredNode } from '../../../src/boot/life/restore-node.ts';
import { createIdentity } from '../../../src/boot/node/identity.ts';
import { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import type { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import type { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { buildGuardian } from '../../../src/node/build-guardian.ts';
import { ChainWatch } from '../../../src/node/chain-watch.ts';
import { MainLoop } from '../../../src/observe/main-loop.ts';
import { Metrics } from '../../../src/observe/metrics.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { FlooredClock } from '../../../src/time/clock.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { survivals } from '../../support/disk-survival.ts';
import { firstIncarnation } from '../../support/lineages.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { KEYSLOTS, SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';
import { ownBody } from '../../support/simulated-network-world.ts';

const LONG = { timeout: 120_000 };
const MANIFEST = '/data/node/store/MANIFEST';
const COPY = '/copies/keyslots';

const net = new SimulatedNetwork(909);
/** The machine that loses its store and restores it. */
let node: SimulatedNode;
let account: AccountId;
let backup: Uint8Array;
let ofOther: Uint8Array;
let keyslots: Uint8Array;
/** Backups under the node's store key that are not of the node, by the code that refuses them. */
const misfits: Partial<
  Record<'KEYSLOT_FILE_FOREIGN' | 'NODE_ACCOUNT_MISMATCH' | 'IDENTITY_MISSING', Uint8Array>
> = {};

async function backupOf(machine: SimulatedNode): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  await machine.open?.store.backup(async (bytes) => void parts.push(bytes.slice()));
  return new Uint8Array(Buffer.concat(parts));
}

/** A backup of a store that was made for it. */
async function backupOfMade(
  options: { readonly storeKey: SecretBytes; readonly storeId?: Uint8Array },
  fill: (store: SealedStore) => Promise<unknown>,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  await using store = await SealedStore.create({
    fileSystem: new SimulatedDisk(),
    path: '/made',
    ...options,
  });
  await fill(store);
  await store.backup(async (bytes) => void parts.push(bytes.slice()));
  return new Uint8Array(Buffer.concat(parts));
}

async function put(machine: SimulatedNode, name: string): Promise<void> {
  const values = await machine.open?.store.namespace('values');
  await values?.put(name, new TextEncoder().encode(name));
}

beforeAll(async () => {
  await net.form(4);
  const [first, second] = net.nodes;
  if (first?.open === undefined || second === undefined) throw new Error('no network');
  node = first;
  account = first.open.identity.account;
  await put(node, 'before');
  backup = await backupOf(node);
  ofOther = await backupOf(second);
  const { storeKey, storeId } = first.open;
  const newcomer = (store: SealedStore) => createIdentity(store, node.random, firstIncarnation);
  misfits.KEYSLOT_FILE_FOREIGN = await backupOfMade({ storeKey }, newcomer);
  misfits.NODE_ACCOUNT_MISMATCH = await backupOfMade({ storeKey, storeId }, newcomer);
  misfits.IDENTITY_MISSING = await backupOfMade({ storeKey, storeId }, async () => undefined);
  await put(node, 'after');
  // The servers are told of the newest head.
  await net.settle(60_000);
  expect(node.state.name).toBe('backed');
  await net.world.clock.until(node.stop());
  keyslots = node.disk.files().get(KEYSLOTS) ?? new Uint8Array(0);
}, 120_000);
afterAll(async () => {
  await net.close();
  expect(net.world.violations).toEqual([]);
});

/** A disk without the store, with the other files that the host left. */
async function diskWith(left: 'keyslots' | 'node-folder' | 'nothing'): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const folders = left === 'nothing' ? ['/data', '/copies'] : ['/data', '/copies', '/data/node'];
  for (const folder of folders) await disk.mkdir(folder);
  for (const folder of ['/', ...folders]) await disk.syncDirectory(folder);
  disk.tamper(left === 'keyslots' ? KEYSLOTS : COPY, keyslots);
  return disk;
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000);
}

/** One run of the command on a disk. */
async function restore(
  disk: SimulatedDisk,
  change: Partial<NodeBackup> & { readonly bytes?: Uint8Array; readonly expected?: AccountId } = {},
): Promise<RestoredNode | { readonly locked: string }> {
  const { chain, clock: time, config, verifier, collateral, wire } = net.world;
  const clock = new FlooredClock(time);
  const { random, quotes } = node;
  const client = new PeerClient({
    transport: wire.transportFrom(node.name),
    clock,
    random,
    deadlineMs: config.healing.peerDeadlineMs,
  });
  const watch = new ChainWatch({ chain, clock, maxAgeMs: 600_000, onSnapshot: () => undefined });
  const { bytes = backup, expected, ...rest } = change;
  const expectedAccount = expected === undefined ? {} : { expectedAccount: encodeSs58(expected) };
  const { guardian } = buildGuardian(
    { ...config, node: { ...config.node, ...expectedAccount } },
    {
      ...{ clock, random, verifier, collateral, chain, quotes, client, fileSystem: disk },
      log: () => undefined,
      metrics: new Metrics(),
      mainLoop: new MainLoop(() => 0),
    },
    {
      machine: { measurement: measurementId(ownBody), ppid: new Uint8Array(16), description: {} },
      watch,
    },
    { mayStayUnbacked: false, acceptRolledBackStore: false, onState: () => undefined },
  );
  try {
    const done = await time.until(guardian.restore({ source: inPieces(bytes), attempts: 1, ...rest }));
    return done ?? { locked: guardian.state.name };
  } finally {
    watch.close();
    await time.until(guardian.close());
  }
}

/** The code with which a run ends; another error by its text. */
const thrownCode = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)),
  );

/** All files of a disk. */
async function picture(disk: SimulatedDisk): Promise<readonly string[]> {
  return [...disk.files()].map(([path, bytes]) => `${path} ${Buffer.from(bytes).toString('hex')}`).sort();
}

describe('restoring a node', () => {
  it(
    'puts the store in place under the existing keyslot file, and reports that the store is older',
    LONG,
    async () => {
      const disk = await diskWith('keyslots');
      const done = await restore(disk, { expected: account });
      expect(done).toMatchObject({
        keyslots: 'in-place',
        isOlder: true,
        report: { records: expect.any(Number) },
      });
      expect('account' in done && done.account).toEqual(account);
      const files = [...disk.files().keys()];
      expect(files).toContain(MANIFEST);
      expect(files.filter((path) => !path.startsWith('/data/node/'))).toEqual([]);
      expect(disk.files().get(KEYSLOTS)).toEqual(keyslots);
    },
  );

  it(
    'uses the copy of the keyslot file when there is none in place, with and without a node folder',
    LONG,
    async () => {
      for (const left of ['node-folder', 'nothing'] as const) {
        const disk = await diskWith(left);
        expect(await thrownCode(restore(disk))).toBe('KEYSLOT_FILE_MISSING');
        expect(await restore(disk, { keyslots: COPY })).toMatchObject({ keyslots: 'given' });
        expect(disk.files().get(KEYSLOTS)).toEqual(keyslots);
        expect(disk.files().has(MANIFEST)).toBe(true);
        expect(await disk.stat('/data/node.new')).toBeUndefined();
      }
    },
  );

  it('refuses wrong input, and changes nothing', LONG, async () => {
    const other = net.nodes[1]?.open?.identity.account;
    const flipped = backup.slice();
    flipped[flipped.length - 20] = (flipped[flipped.length - 20] ?? 0) ^ 1;
    const cases = [
      ['STORE_WRONG_KEY', { bytes: ofOther }],
      ['STORE_BACKUP_TRUNCATED', { bytes: backup.subarray(0, backup.length - 1) }],
      ['STORE_BACKUP_TRUNCATED', { bytes: backup.subarray(0, 40) }],
      ['STORE_BACKUP_DAMAGED', { bytes: flipped }],
      ['STORE_BACKUP_INVALID', { bytes: new Uint8Array(500) }],
      ['NODE_ACCOUNT_MISMATCH', { expected: other ?? account }],
      ...Object.entries(misfits).map(([code, bytes]) => [code, { bytes }] as const),
    ] as const;
    expect(cases).toHaveLength(9);
    for (const [code, change] of cases) {
      for (const left of ['keyslots', 'node-folder', 'nothing'] as const) {
        const disk = await diskWith(left);
        const before = await picture(disk);
        const given = left === 'keyslots' ? {} : { keyslots: COPY };
        expect(await thrownCode(restore(disk, { ...change, ...given })), `${code}, ${left}`).toBe(code);
        expect(await picture(disk)).toEqual(before);
        expect(await disk.stat('/data/node.new')).toBeUndefined();
      }
    }
  });

  it('refuses when there is a store in any state, before it asks a server', LONG, async () => {
    const disk = await diskWith('keyslots');
    await disk.mkdir('/data/node/store');
    const asked = net.world.genuineQuotes.size;
    expect(await thrownCode(restore(disk))).toBe('STORE_EXISTS');
    expect(net.world.genuineQuotes.size).toBe(asked);
  });

  it('without t servers stays locked, changes nothing, and tries as often as configured', LONG, async () => {
    const { misbehaviour } = net.world.wire;
    for (const { endpoint } of net.nodes) misbehaviour.set(endpoint, 'hang');
    const disk = await diskWith('nothing');
    const before = await picture(disk);
    expect(await restore(disk, { keyslots: COPY })).toEqual({ locked: 'locked' });
    expect(await picture(disk)).toEqual(before);
    const restoring = restore(disk, { keyslots: COPY, attempts: 3 });
    misbehaviour.clear();
    expect(await restoring).toMatchObject({ keyslots: 'given' });
  });

  it('stops when another process creates a node in the same folder', LONG, async () => {
    const disk = await diskWith('keyslots');
    const lock = await disk.lock('/data');
    expect(await thrownCode(restore(disk))).toBe('NODE_RUNNING');
    if ('release' in lock) await lock.release();
    expect(await thrownCode(restore(disk))).toBe('none');
  });

  it.each(['keyslots', 'node-folder', 'nothing'] as const)(
    'after a power cut at every step with %s left, the first or the second run has succeeded',
    LONG,
    async (left) => {
      const given = left === 'keyslots' ? {} : { keyslots: COPY };
      const outcomes = { again: 0, inPlace: 0 };
      for (let cut = 1, isCut = true; isCut; cut++) {
        const disk = await diskWith(left);
        disk.cutAt(disk.steps + cut);
        isCut = (await thrownCode(restore(disk, given))) !== 'none';
        const after = disk.afterPowerCut(survivals[cut % survivals.length] ?? 'lost', cut);
        const isInPlace = (await after.stat('/data/node/store')) !== undefined;
        if (isInPlace) {
          // A store in place is whole: the backup had only to be read to its end before.
          expect(await thrownCode(restore(after, given))).toBe('STORE_EXISTS');
          outcomes.inPlace++;
        } else {
          expect(await restore(after, given), `cut at ${cut}`).toMatchObject({ isOlder: true });
          outcomes.again++;
        }
        expect(after.files().get(KEYSLOTS), `cut at ${cut}`).toEqual(keyslots);
        expect(after.files().has(MANIFEST)).toBe(true);
      }
      expect(outcomes.again).toBeGreaterThan(10);
      expect(outcomes.inPlace).toBeGreaterThan(0);
    },
  );
});
