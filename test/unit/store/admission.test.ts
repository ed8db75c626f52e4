import { describe, expect, it } from 'vitest';
import type { FileSystem, FolderLock } from '../../../src/disk/file-system.ts';
import { EvidenceError, ProblemError } from '../../../src/errors/latchkey-error.ts';
import type { Admission, FoundLog } from '../../../src/store/api/admission.ts';
import type { LogHead } from '../../../src/store/api/log-head.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { fileOn, filledDisk, STORE_PATH, segmentPaths, storeOptions } from '../../support/store-on-disk.ts';

const bytes = (byte: number, length = 40) => new Uint8Array(length).fill(byte);

/** Opens and closes with a judge. */
const openJudged = (disk: SimulatedDisk, judge: Admission['judge'], sequences: readonly number[] = []) =>
  SealedStore.open({ ...storeOptions(disk), admit: { sequences, judge } });

async function judgeAll(disk: SimulatedDisk, judge: Admission['judge'], sequences: readonly number[] = []) {
  await (await openJudged(disk, judge, sequences)).close();
}

const refusal = new EvidenceError('STORE_ROLLED_BACK', 'refused by the judge of this test');
const refuse = () => {
  throw refusal;
};

/** A store that is written to when `at` matches an operation: the disk as a kill at that moment leaves it. */
async function killedAt(
  at: (kind: string, path: string) => boolean,
  work: (store: SealedStore) => Promise<unknown>,
): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 1500 }));
  const space = await store.namespace('n');
  const secret = await store.namespace('secret', { erasable: true });
  for (let turn = 0; turn < 12; turn += 1) await space.put(`name-${turn % 3}`, bytes(turn));
  await secret.put('name', bytes(99));
  let left: SimulatedDisk | undefined;
  disk.inject(({ kind, path }) => {
    if (at(kind, path)) left ??= disk.clone();
    return undefined;
  });
  await work(store);
  if (left === undefined) throw new Error('the moment never came');
  return left;
}

/** What interrupted work leaves, and what the next opening says that it did about it. */
const leftovers = [
  {
    what: 'a torn tail',
    make: async () => {
      const disk = await killedAt(
        (kind, path) => kind === 'write' && path.includes('segment-'),
        async (store) => (await store.namespace('n')).put('torn', bytes(1)),
      );
      const last = segmentPaths(disk).at(-1) ?? '';
      disk.tamper(last, Uint8Array.of(...fileOn(disk, last), ...bytes(0xee, 30)));
      return disk;
    },
    mended: (store: SealedStore) => store.opening.tornBytes === 30,
  },
  {
    what: 'room behind the log',
    make: async () => {
      const disk = await killedAt(
        (kind) => kind === 'write',
        async (store) => (await store.namespace('n')).put('next', bytes(1)),
      );
      const last = segmentPaths(disk).at(-1) ?? '';
      disk.tamper(last, Uint8Array.of(...fileOn(disk, last), ...bytes(0, 512)));
      return disk;
    },
    mended: (store: SealedStore) => store.opening.tornBytes === 0,
  },
  {
    what: 'files of an interrupted compaction',
    make: () =>
      killedAt(
        (kind, path) => kind === 'rename' && path.endsWith('MANIFEST'),
        async (store) => {
          await store.compact();
        },
      ),
    mended: (store: SealedStore) => store.opening.removedFiles.length > 1,
  },
  {
    what: 'the key of an erased namespace',
    make: () =>
      killedAt(
        (kind, path) => kind === 'write' && path.includes('keys-'),
        (store) => store.eraseNamespace('secret'),
      ),
    mended: (store: SealedStore) => store.opening.destroyedKeys === 1,
  },
];

describe('a judge that refuses', () => {
  it.each(leftovers)('leaves every byte as it was beside $what', async ({ make, mended }) => {
    const disk = await make();
    const before = disk.files();
    const { steps } = disk;
    await expect(openJudged(disk, refuse)).rejects.toBe(refusal);
    expect(disk.files()).toEqual(before);
    // Not even a sync.
    expect(disk.steps).toBe(steps);
    const store = await SealedStore.open(storeOptions(disk));
    expect(mended(store)).toBe(true);
    expect(await (await store.namespace('n')).get('name-2')).toEqual(bytes(11));
    expect(disk.files()).not.toEqual(before);
    await (await store.namespace('n')).put('after', bytes(1));
    await store.close();
  });

  it.each([
    ['an EvidenceError', refusal],
    ['a ProblemError', new ProblemError('STORE_CLOSED', 'of a judge')],
    [
      'an error of the operating system',
      Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' }),
    ],
    ['a RangeError', new RangeError('of a judge')],
    ['a text', 'not an error'],
    ['nothing', undefined],
  ])('with %s has it come out as it is, thrown or rejected', async (_what, thrown) => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const before = disk.files();
    const caught = async (judge: Admission['judge']) => {
      const result = await openJudged(disk, judge).then(
        () => ({ opened: true }),
        (error: unknown) => ({ error }),
      );
      expect(result).toHaveProperty('error');
      return 'error' in result ? result.error : undefined;
    };
    expect(
      await caught(() => {
        throw thrown;
      }),
    ).toBe(thrown);
    expect(await caught(() => Promise.reject(thrown))).toBe(thrown);
    expect(disk.files()).toEqual(before);
  });

  it('has its error come out also when closing the files and giving back the lock fail', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const failing = failingEnd(disk);
    const opening = SealedStore.open({
      ...storeOptions(disk),
      fileSystem: failing.fileSystem,
      admit: {
        sequences: [],
        judge: () => {
          failing.begin();
          throw refusal;
        },
      },
    });
    await expect(opening).rejects.toBe(refusal);
    expect(failing.failures()).toEqual(new Set(['close', 'release']));
  });

  it('leaves no file open', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const { fileSystem, open } = countingHandles(disk);
    let during = 0;
    const opening = SealedStore.open({
      ...storeOptions(disk),
      fileSystem,
      admit: {
        sequences: [],
        judge: () => {
          during = open();
          throw refusal;
        },
      },
    });
    await expect(opening).rejects.toBe(refusal);
    expect(during).toBeGreaterThan(2);
    expect(open()).toBe(0);
  });
});

describe('a judge', () => {
  it('that is slow is waited for: meanwhile nothing changes, and nobody else gets the store', async () => {
    const disk = await leftovers[0]?.make();
    if (disk === undefined) throw new Error('no disk');
    const before = disk.files();
    const { steps } = disk;
    const called = deferred<FoundLog>();
    const verdict = deferred<void>();
    let isOpen = false;
    const opening = openJudged(disk, (found) => {
      called.resolve(found);
      return verdict.promise;
    }).finally(() => {
      isOpen = true;
    });
    const found = await called.promise;
    await expect(SealedStore.open(storeOptions(disk))).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    expect(await found.get('n', 'name-2')).toEqual(bytes(11));
    expect([isOpen, disk.steps]).toEqual([false, steps]);
    expect(disk.files()).toEqual(before);
    verdict.resolve();
    const store = await opening;
    expect(store.opening.tornBytes).toBe(30);
    await store.close();
  });

  it('is not asked about a store that does not verify', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const last = segmentPaths(disk).at(-1) ?? '';
    const whole = fileOn(disk, last);
    const keys = `${STORE_PATH}/keys-0000000001`;
    let asked = 0;
    const judge = () => {
      asked += 1;
    };
    disk.tamper(last, whole.with(whole.length - 1, (whole.at(-1) ?? 0) ^ 1));
    await expect(openJudged(disk, judge)).rejects.toMatchObject({ code: 'STORE_SEGMENT_DAMAGED' });
    disk.tamper(last, whole);
    disk.tamper(keys, fileOn(disk, keys).with(30, (fileOn(disk, keys)[30] ?? 0) ^ 1));
    await expect(openJudged(disk, judge)).rejects.toMatchObject({ code: 'STORE_NAMESPACE_KEY_DAMAGED' });
    expect(asked).toBe(0);
  });

  it('sees the values of all namespaces, and undefined where there is none', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const seen: (Uint8Array | undefined)[] = [];
    await judgeAll(disk, async ({ get }) => {
      seen.push(await get('plain-space', 'first-2'), await get('plain-space', 'first-4'));
      seen.push(await get('secret-space', 'second-7'));
      seen.push(await get('plain-space', 'first-3'), await get('plain-space', 'second-7'));
      seen.push(await get('no-space', 'first-2'), await get('', ''));
    });
    const none = undefined;
    expect(seen).toEqual([bytes(3), bytes(0x44, 10), bytes(108), none, none, none, none]);
  });

  it('sees the store id and the head, and changes nothing by what it does to the bytes that it is given', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const first = await SealedStore.open(storeOptions(disk));
    const { storeId } = first;
    const head = first.head();
    await first.close();
    const seen: unknown[] = [];
    const store = await openJudged(
      disk,
      async (found) => {
        const digest = found.digestAt(head.sequence);
        const value = await found.get('plain-space', 'first-2');
        seen.push(Uint8Array.from(found.storeId), {
          ...found.head,
          digest: Uint8Array.from(found.head.digest),
        });
        for (const given of [found.storeId, found.head.digest, digest, value]) given?.fill(0);
        seen.push(found.digestAt(head.sequence), await found.get('plain-space', 'first-2'));
      },
      [head.sequence],
    );
    expect(seen).toEqual([storeId, head, head.digest, bytes(3)]);
    expect([store.storeId, store.head()]).toEqual([storeId, head]);
    const space = await store.namespace('plain-space');
    expect(await space.get('first-2')).toEqual(bytes(3));
    await space.put('after', bytes(5));
    await store.close();
    const again = await SealedStore.open(storeOptions(disk));
    expect(await (await again.namespace('plain-space')).get('after')).toEqual(bytes(5));
    await again.close();
  });

  it('reads nothing more when it has ended, however it ended', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const kept: FoundLog[] = [];
    const store = await openJudged(disk, (found) => void kept.push(found));
    await expect(
      openJudged(disk.clone(), (found) => {
        kept.push(found);
        throw refusal;
      }),
    ).rejects.toBe(refusal);
    expect(kept).toHaveLength(2);
    for (const found of kept)
      await expect(found.get('plain-space', 'first-2')).rejects.toMatchObject({ code: 'STORE_CLOSED' });
    await store.close();
  });

  it('keeps its own `this`', async () => {
    class Judge implements Admission {
      readonly sequences = [0];
      calls = 0;
      judge(): void {
        this.calls += 1;
      }
    }
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const admit = new Judge();
    await (await SealedStore.open({ ...storeOptions(disk), admit })).close();
    expect(admit.calls).toBe(1);
  });
});

describe('the digest at a position', () => {
  const zeros = new Uint8Array(32);

  /** Digests at these positions, as a judge sees them. */
  async function digestsOn(disk: SimulatedDisk, sequences: readonly number[]) {
    let seen: (Uint8Array | undefined)[] = [];
    await judgeAll(
      disk,
      ({ digestAt }) => {
        seen = sequences.map((sequence) => digestAt(sequence));
      },
      sequences,
    );
    return seen;
  }

  /** Writes one record after the other. @returns the head after each. */
  async function headsOf(
    store: SealedStore,
    namespace: string,
    names: readonly string[],
  ): Promise<LogHead[]> {
    const space = await store.namespace(namespace);
    const heads: LogHead[] = [];
    for (const name of names) {
      await space.put(name, bytes(heads.length));
      heads.push(store.head());
    }
    return heads;
  }
  const numbered = (count: number) => Array.from({ length: count }, (_, index) => `name-${index}`);

  it('is that of the head that was taken there, from the beginning to the exact end, in any order asked', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 700 }));
    const start = store.head();
    const heads = [start, ...(await headsOf(store, 'n', numbered(12)))];
    await store.close();
    expect(segmentPaths(disk).length).toBeGreaterThan(3);
    const asked = [...heads.slice(6), ...heads.slice(0, 6).reverse(), ...heads.slice(3, 5)];
    expect(start).toMatchObject({ sequence: 0, digest: zeros });
    expect(
      await digestsOn(
        disk,
        asked.map(({ sequence }) => sequence),
      ),
    ).toEqual(asked.map(({ digest }) => digest));
  });

  it('beyond the end is undefined, also where a torn tail would go on', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const [first, second] = await headsOf(store, 'n', numbered(2));
    const [path = ''] = segmentPaths(disk);
    disk.tamper(path, fileOn(disk, path).subarray(0, -1));
    const sequence = second?.sequence ?? 0;
    expect(await digestsOn(disk.afterKill(), [sequence - 1, sequence, sequence + 1, 1e15])).toEqual([
      first?.digest,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('that compaction has taken is undefined; the exact end is there although no record is left behind it', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const heads = await headsOf(store, 'n', numbered(5));
    await store.compact();
    await store.close();
    const sequences = [0, ...heads.map(({ sequence }) => sequence)];
    const end = heads.at(-1)?.digest;
    expect(await digestsOn(disk, sequences)).toEqual([...sequences.slice(0, -1).map(() => undefined), end]);
  });

  it('that compaction has taken from the middle is undefined, and those before and behind it are there', async () => {
    const disk = new SimulatedDisk();
    const options = storeOptions(disk, { segmentBytes: 700, compaction: 'automatic' });
    const store = await SealedStore.create(options);
    const living = await headsOf(store, 'n', numbered(12));
    const dead = await headsOf(
      store,
      'n',
      Array.from({ length: 40 }, () => 'same'),
    );
    await store.settled();
    await store.close();
    const of = (heads: readonly LogHead[]) =>
      digestsOn(
        disk,
        heads.map(({ sequence }) => sequence),
      );
    expect((await of(living)).slice(3, 8)).toEqual(living.slice(3, 8).map(({ digest }) => digest));
    const middle = await of(dead);
    expect(middle[20]).toBeUndefined();
    expect(middle.at(-1)).toEqual(dead.at(-1)?.digest);
  });

  it('between the records of one frame is that of no head there, and never undefined', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const [before] = await headsOf(store, 'n', ['before']);
    // The enemy's other history: the same numbers, written one by one.
    const other = disk.clone();
    const put = (name: string) => ({ kind: 'put', namespace: 'n', name, value: bytes(1) }) as const;
    await store.batch(['a', 'b', 'c'].map(put));
    const end = store.head();
    await store.close();
    const forked = await SealedStore.open(storeOptions(other));
    const heads = await headsOf(forked, 'n', ['a', 'b', 'c']);
    await forked.close();
    const sequences = heads.map(({ sequence }) => sequence);
    expect(sequences.at(-1)).toBe(end.sequence);
    const seen = await digestsOn(disk, [before?.sequence ?? 0, ...sequences]);
    expect(seen).toEqual([before?.digest, end.digest, end.digest, end.digest]);
    const known = heads.map(({ digest }) => Buffer.from(digest).toString('hex'));
    for (const digest of seen) expect(known).not.toContain(Buffer.from(digest ?? []).toString('hex'));
  });

  it('that was not asked for is a RangeError, which refuses the store', async () => {
    const disk = new SimulatedDisk();
    await filledDisk(disk);
    const before = disk.files();
    for (const sequence of [1, 3, Number.NaN])
      await expect(openJudged(disk, ({ digestAt }) => void digestAt(sequence), [2])).rejects.toThrow(
        RangeError,
      );
    expect(disk.files()).toEqual(before);
  });

  it('is collected for the positions as they were at the call', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const heads = await headsOf(store, 'n', numbered(4));
    await store.close();
    const sequences = [heads[1]?.sequence ?? 0];
    const [asked = 0] = sequences;
    let seen: Uint8Array | undefined;
    const opening = openJudged(
      disk,
      ({ digestAt }) => {
        seen = digestAt(asked);
      },
      sequences,
    );
    sequences[0] = 0;
    sequences.push(Number.NaN);
    await (await opening).close();
    expect(seen).toEqual(heads[1]?.digest);
  });
});

/** A promise that is resolved by a call. */
function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** The disk, which counts the files that are open. */
function countingHandles(disk: SimulatedDisk): {
  readonly fileSystem: FileSystem;
  readonly open: () => number;
} {
  let open = 0;
  const fileSystem = withHandles(disk, (handle) => {
    open += 1;
    const close = handle.close.bind(handle);
    handle.close = async () => {
      open -= 1;
      await close();
    };
  });
  return { fileSystem, open: () => open };
}

/** The disk, on which closing a file fails from `begin` on, and giving back a lock always. */
function failingEnd(disk: SimulatedDisk) {
  const failures = new Set<string>();
  const fail = async (what: string): Promise<never> => {
    failures.add(what);
    throw Object.assign(new Error(what), { code: 'EIO' });
  };
  let hasBegun = false;
  const fileSystem = withHandles(disk, (handle) => {
    const close = handle.close.bind(handle);
    handle.close = () => (hasBegun ? fail('close') : close());
  });
  const lock = async (): Promise<FolderLock> => ({ release: () => fail('release') });
  const begin = () => {
    hasBegun = true;
  };
  return { fileSystem: { ...fileSystem, lock }, begin, failures: () => failures };
}

/** A file system of its own on the same disk; every handle passes through `change`. */
function withHandles(
  disk: SimulatedDisk,
  change: (handle: Awaited<ReturnType<FileSystem['open']>>) => void,
): FileSystem {
  return {
    open: async (path, mode) => {
      const handle = await disk.open(path, mode);
      change(handle);
      return handle;
    },
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    mkdir: (path) => disk.mkdir(path),
    rmdir: (path) => disk.rmdir(path),
    list: (path) => disk.list(path),
    stat: (path) => disk.stat(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    lock: (path) => disk.lock(path),
  };
}
