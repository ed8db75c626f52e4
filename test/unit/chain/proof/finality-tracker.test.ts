import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/bytes/hex.ts';
import {
  defaultTrackerLimits,
  type FinalitySource,
  FinalityTracker,
  ProvenBlock,
  type TrackerLimits,
} from '../../../../src/chain/proof/finality-tracker.ts';
import { LatchkeyError } from '../../../../src/errors/latchkey-error.ts';
import {
  forcedChange,
  GrandpaWorld,
  headerJson,
  type MadeBlock,
  makeBlock,
  makeFinalityProof,
  makeJustification,
  makeVoters,
  type Reign,
  scheduledChange,
  unanimous,
} from '../../../support/grandpa-world.ts';

const families = Array.from({ length: 6 }, (_, index) => makeVoters(4, index + 1));
const reigns: readonly Reign[] = families.map((voters) => ({ voters, blocks: 5 }));
/** Six sets of five blocks each: 1–5, 6–10, …, 26–30; the last is in office. */
const world = (): GrandpaWorld => new GrandpaWorld(reigns);
const trackerOf = (chain: GrandpaWorld, at = 0, limits?: TrackerLimits): FinalityTracker =>
  new FinalityTracker(chain.checkpoint(at), limits);

const codeOf = async (call: Promise<unknown>): Promise<string> => {
  try {
    await call;
    return 'none';
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
};

/** The world with some answers replaced. */
const lying = (chain: GrandpaWorld, lies: Partial<FinalitySource>): FinalitySource => ({
  proveFinality: lies.proveFinality ?? ((number) => chain.proveFinality(number)),
  header: lies.header ?? ((hash) => chain.header(hash)),
});

describe('advancing', () => {
  it('within the present authority set needs one proof', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const tracker = trackerOf(chain);
    expect(tracker.newest).toBeUndefined();
    const proven = await tracker.advance(chain, chain.newest);
    expect(proven).toMatchObject({ number: 5, hash: chain.newest.hash, stateRoot: chain.newest.stateRoot });
    expect(tracker.newest).toBe(proven);
    expect(chain.asked).toEqual(['prove 5', 'header']);
    expect(await tracker.advance(chain, chain.block(3))).toBe(proven);
    expect(chain.asked).toHaveLength(2);
  });

  it('uses the last header of the proof and does not request it', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    await trackerOf(chain).advance(chain, chain.block(3));
    expect(chain.asked).toEqual(['prove 3']);
  });

  it('follows changes of the authority set one by one', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    expect(await tracker.advance(chain, chain.newest)).toMatchObject({ number: 30 });
    expect(tracker.authoritySetId).toBe(5n);
    const proofs = chain.asked.filter((asked) => asked.startsWith('prove'));
    expect(proofs).toEqual([30, 1, 6, 11, 16, 21].map((number) => `prove ${number}`));
  });

  it.each([1, 5, 7, 12])(
    'starts at a checkpoint at block %i with the authority set after that block',
    async (at) => {
      const chain = world();
      const tracker = trackerOf(chain, at);
      expect(await tracker.advance(chain, chain.newest)).toMatchObject({ number: 30 });
    },
  );

  it('proves the last block of an earlier set when a block of that set is the target', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    expect(await tracker.advance(chain, chain.block(2))).toMatchObject({ number: 5 });
    expect(tracker.authoritySetId).toBe(1n);
  });

  it('returns the proven block when the newest justification is below the target', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const child = makeBlock(chain.newest);
    const lagging = lying(chain, { proveFinality: () => chain.proveFinality(5) });
    expect(await trackerOf(chain).advance(lagging, child)).toMatchObject({ number: 5 });
  });

  it('stops at its bounds and continues with the next call', async () => {
    const chain = world();
    const few = trackerOf(chain, 0, { ...defaultTrackerLimits, maxHandovers: 2 });
    expect(await few.advance(chain, chain.newest)).toMatchObject({ number: 10 });
    expect(await few.advance(chain, chain.newest)).toMatchObject({ number: 20 });
    expect(await few.advance(chain, chain.newest)).toMatchObject({ number: 30 });
    const small = trackerOf(chain, 0, { ...defaultTrackerLimits, maxProofBytes: 3500 });
    expect((await small.advance(chain, chain.newest).catch(() => undefined))?.number ?? 0).toBeLessThan(30);
  });

  it('works with sets of 1, 4 and 100 authorities', async () => {
    const sizes = [1, 4, 100, 1];
    const chain = new GrandpaWorld(
      sizes.map((size, index) => ({ voters: makeVoters(size, index), blocks: 3 })),
    );
    expect(await trackerOf(chain).advance(chain, chain.newest)).toMatchObject({ number: 12 });
  });

  it('uses the weights from the change of the authority set', async () => {
    const [heavy, ...light] = makeVoters(4, 3);
    if (heavy === undefined) throw new Error('a voter is needed');
    const weighted = [{ ...heavy, weight: 20n }, ...light];
    const chain = new GrandpaWorld([...reigns.slice(0, 1), { voters: weighted, blocks: 2 }]);
    const byWhom = (voters: typeof weighted): FinalitySource =>
      lying(chain, {
        proveFinality: async (number) => {
          if (number <= 5) return chain.proofOf(number);
          const votes = voters.map((voter) => ({ voter, block: chain.newest }));
          return makeFinalityProof(
            chain.newest,
            makeJustification({ target: chain.newest, votes, setId: 1n }),
            [],
          );
        },
      });
    const tracker = trackerOf(chain);
    expect(await codeOf(tracker.advance(byWhom(light), chain.newest))).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(tracker.newest?.number).toBe(5);
    expect(await tracker.advance(byWhom([{ ...heavy, weight: 20n }]), chain.newest)).toMatchObject({
      number: 7,
    });
  });
});

describe('the checkpoint itself', () => {
  it('is proven by its header when it is the target', async () => {
    const chain = world();
    const tracker = trackerOf(chain, 7);
    expect(await tracker.advance(chain, chain.block(7))).toMatchObject({
      number: 7,
      stateRoot: chain.block(7).stateRoot,
    });
    expect(chain.asked).toEqual(['header']);
    expect(await trackerOf(chain, 7).advance(chain, chain.block(2))).toMatchObject({ number: 7 });
  });

  it('is refused with another header or number', async () => {
    const chain = world();
    const other = lying(chain, { header: async () => headerJson(chain.block(8)) });
    expect(await codeOf(trackerOf(chain, 7).advance(other, chain.block(7)))).toBe('CHAIN_PROOF_INVALID');
    const wrong = new FinalityTracker({ ...chain.checkpoint(7), blockNumber: 8 });
    expect(await codeOf(wrong.advance(chain, chain.block(7)))).toBe('CHAIN_PROOF_INVALID');
  });

  it('proves nothing when it has another set or other authorities', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const set = new FinalityTracker({ ...chain.checkpoint(), authoritySetId: 1 });
    expect(await codeOf(set.advance(chain, chain.newest))).toBe('CHAIN_FINALITY_UNPROVEN');
    const authorities = makeVoters(4, 9).map(({ signer }) => signer.publicKey);
    const strangers = new FinalityTracker({ ...chain.checkpoint(), authorities });
    expect(await codeOf(strangers.advance(chain, chain.newest))).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(strangers.newest).toBeUndefined();
  });

  it('is refused as misuse or bad evidence when it is malformed', () => {
    const { authorities, ...rest } = world().checkpoint();
    expect(() => new FinalityTracker({ ...rest, authorities, blockHash: new Uint8Array(31) })).toThrow(
      RangeError,
    );
    expect(() => new FinalityTracker({ ...rest, authorities, authoritySetId: -1 })).toThrow(RangeError);
    expect(() => new FinalityTracker({ ...rest, authorities: [] })).toThrow(LatchkeyError);
  });
});

describe('calls that may not change the authority set', () => {
  it('a call proves only blocks that the present set signed', async () => {
    const chain = world();
    const none = trackerOf(chain, 0, { ...defaultTrackerLimits, maxHandovers: 0 });
    expect(await codeOf(none.advance(chain, chain.newest))).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(await none.advance(chain, chain.block(4))).toMatchObject({ number: 5 });
  });

  it('a proof of the checkpoint block makes it readable', async () => {
    const chain = world();
    const lagging = lying(chain, { proveFinality: async () => chain.proofOf(5) });
    const tracker = trackerOf(chain, 5);
    expect(await tracker.advance(lagging, chain.block(6))).toMatchObject({ number: 5 });
    expect(tracker.authoritySetId).toBe(1n);
  });
});

describe('lies', () => {
  const only = (chain: GrandpaWorld, bytes: Uint8Array | undefined): FinalitySource =>
    lying(chain, { proveFinality: async () => bytes });

  it('a signature of a later set finalizes nothing before that set is reached', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    const jump = only(chain, chain.proofOf(30));
    expect(await codeOf(tracker.advance(jump, chain.newest))).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(tracker.newest).toBeUndefined();
    expect(tracker.authoritySetId).toBe(0n);
  });

  it('a former set finalizes nothing', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    await tracker.advance(chain, chain.block(5));
    const usurped = makeBlock(chain.block(5), { stateRoot: new Uint8Array(32).fill(0xbb) });
    const forged = makeFinalityProof(usurped, unanimous(usurped, families[0] ?? [], 0n), [usurped]);
    expect(await codeOf(tracker.advance(only(chain, forged), usurped))).toBe('CHAIN_FINALITY_UNPROVEN');
    const renamed = makeFinalityProof(usurped, unanimous(usurped, families[0] ?? [], 1n), [usurped]);
    expect(await codeOf(tracker.advance(only(chain, renamed), usurped))).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(tracker.newest?.number).toBe(5);
  });

  it('a missing proof fails the call', async () => {
    const chain = world();
    expect(await codeOf(trackerOf(chain).advance(only(chain, undefined), chain.newest))).toBe(
      'CHAIN_FINALITY_UNPROVEN',
    );
  });

  it('an old block is not accepted as a new one', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    const proven = await tracker.advance(chain, chain.block(12));
    expect(proven.number).toBe(15);
    expect(await codeOf(tracker.advance(only(chain, chain.proofOf(8)), chain.newest))).toBe(
      'CHAIN_FINALITY_UNPROVEN',
    );
    expect(await tracker.advance(only(chain, chain.proofOf(12)), chain.newest)).toBe(proven);
    expect(tracker.newest).toBe(proven);
  });

  it('an old block instead of the last block of a set fails the call', async () => {
    const chain = world();
    const tracker = trackerOf(chain, 5);
    const stuck = lying(chain, {
      proveFinality: async (number) => chain.proofOf(number === 30 ? 30 : 5),
    });
    await tracker.advance(chain, chain.block(5));
    expect(await codeOf(tracker.advance(stuck, chain.newest))).toBe('CHAIN_FINALITY_UNPROVEN');
  });

  it('a target that only a false later set has signed is refused, and the genuine part is kept', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const tracker = trackerOf(chain);
    const forged = makeBlock(chain.newest);
    const proof = makeFinalityProof(forged, unanimous(forged, makeVoters(4, 9), 1n), [forged]);
    const source = lying(chain, {
      proveFinality: async (number) => (number === 6 ? proof : chain.proofOf(5)),
    });
    expect(await codeOf(tracker.advance(source, forged))).toBe('CHAIN_FINALITY_UNPROVEN');
    // What was genuine of it is kept.
    expect(tracker.newest?.number).toBe(5);
  });

  it('a second block with an already proven number is refused', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    await tracker.advance(chain, chain.block(5));
    const sibling = makeBlock(chain.block(4), { stateRoot: new Uint8Array(32).fill(0xcc) });
    expect(await codeOf(tracker.advance(chain, sibling))).toBe('CHAIN_FINALITY_UNPROVEN');
    const proof = makeFinalityProof(sibling, unanimous(sibling, families[0] ?? [], 0n), [sibling]);
    expect(await codeOf(tracker.advance(only(chain, proof), chain.block(6)))).toBe('CHAIN_FINALITY_UNPROVEN');
  });

  it('a forged header, or one of another number, is refused', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const forged = makeBlock(chain.block(4), { stateRoot: new Uint8Array(32).fill(0xdd) });
    for (const json of [headerJson(forged), null, 'header', { number: '0x5' }]) {
      const source = lying(chain, { header: async () => json });
      expect(await codeOf(trackerOf(chain).advance(source, chain.newest))).toBe('CHAIN_PROOF_INVALID');
    }
    const renumbered = makeJustification({
      target: { hash: chain.newest.hash, number: 9 },
      setId: 0n,
      votes: (families[0] ?? []).map((voter) => ({ voter, block: { hash: chain.newest.hash, number: 9 } })),
    });
    expect(await codeOf(trackerOf(chain).acceptJustification(renumbered, chain))).toBe('CHAIN_PROOF_INVALID');
  });

  it('a proof that names another block than its justification is refused', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const misnamed = makeFinalityProof(chain.block(4), chain.justify(5), [chain.block(5)]);
    expect(await codeOf(trackerOf(chain).advance(only(chain, misnamed), chain.newest))).toBe(
      'CHAIN_PROOF_INVALID',
    );
  });

  it('headers that are parents and children, but not numbered so, are refused', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const misnumbered = makeBlock(chain.block(3), { number: 1 });
    const last = makeBlock(misnumbered, { number: 5 });
    const proof = makeFinalityProof(last, unanimous(last, families[0] ?? [], 0n), [misnumbered, last]);
    expect(await codeOf(trackerOf(chain).advance(only(chain, proof), last))).toBe('CHAIN_PROOF_INVALID');
  });

  it('bytes that are not a proof are refused, and an error of the source is passed on', async () => {
    const chain = world();
    expect(await codeOf(trackerOf(chain).advance(only(chain, new Uint8Array(99)), chain.newest))).toBe(
      'CHAIN_PROOF_INVALID',
    );
    const failing = lying(chain, { proveFinality: () => Promise.reject(new Error('gone')) });
    await expect(trackerOf(chain).advance(failing, chain.newest)).rejects.toThrow('gone');
  });
});

describe('authority changes that are not supported', () => {
  const announced = (log: (next: Reign['voters']) => Uint8Array): GrandpaWorld =>
    new GrandpaWorld(reigns.slice(0, 2), log);

  it.each([
    ['a delayed one', (next: Reign['voters']) => scheduledChange(next, 1)],
    ['a forced one', (next: Reign['voters']) => forcedChange(next)],
  ])('%s in a justified block stops the tracker at that block', async (_name, log) => {
    const chain = announced(log);
    const tracker = trackerOf(chain);
    expect(await codeOf(tracker.advance(chain, chain.newest))).toBe('CHAIN_AUTHORITIES_UNKNOWN');
    expect(tracker.newest).toBeUndefined();
    expect(tracker.authoritySetId).toBe(0n);
    expect(await codeOf(tracker.acceptJustification(chain.justify(5), chain))).toBe(
      'CHAIN_AUTHORITIES_UNKNOWN',
    );
  });

  /** A chain with a log in its fourth block, which should end the set; the set signs up to the sixth block. */
  const within = (log: Uint8Array): readonly [FinalityTracker, FinalitySource, MadeBlock] => {
    const chain = new GrandpaWorld([{ voters: families[0] ?? [], blocks: 3 }]);
    const b4 = makeBlock(chain.newest, { logs: [log] });
    const b5 = makeBlock(b4);
    const b6 = makeBlock(b5);
    const proof = makeFinalityProof(b6, unanimous(b6, families[0] ?? [], 0n), [b4, b5, b6]);
    return [trackerOf(chain), only(chain, proof), b6];
  };
  const only = (chain: GrandpaWorld, bytes: Uint8Array): FinalitySource =>
    lying(chain, { proveFinality: async () => bytes });

  it('a delayed or forced change before the justified block is detected too', async () => {
    for (const log of [scheduledChange(families[1] ?? [], 2), forcedChange(families[1] ?? [])]) {
      const [tracker, source, target] = within(log);
      expect(await codeOf(tracker.advance(source, target))).toBe('CHAIN_AUTHORITIES_UNKNOWN');
      expect(tracker.newest).toBeUndefined();
    }
  });

  it('a set that votes after its last block is an error', async () => {
    const [tracker, source, target] = within(scheduledChange(families[1] ?? []));
    expect(await codeOf(tracker.advance(source, target))).toBe('CHAIN_PROOF_INVALID');
    expect(tracker.newest).toBeUndefined();
  });

  it('a handover that is known already is none in a proof that begins before it', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    await tracker.advance(chain, chain.block(5));
    const headers = Array.from({ length: 7 }, (_, index) => chain.block(4 + index));
    const early = lying(chain, {
      proveFinality: async () => makeFinalityProof(chain.block(10), chain.justify(10), headers),
    });
    expect(await tracker.advance(early, chain.block(10))).toMatchObject({ number: 10 });
  });

  it('a change to an empty set is refused and changes nothing', async () => {
    const chain = announced(() => scheduledChange([]));
    const tracker = trackerOf(chain);
    expect(await codeOf(tracker.advance(chain, chain.newest))).toBe('CHAIN_PROOF_INVALID');
    expect(tracker.newest).toBeUndefined();
  });
});

describe('bare justifications', () => {
  it('advance the tracker within the present set and to the next set', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    const third = unanimous(chain.block(3), families[0] ?? [], 0n);
    expect(await tracker.acceptJustification(third, chain)).toMatchObject({ number: 3 });
    expect(await tracker.acceptJustification(chain.justify(5), chain)).toMatchObject({ number: 5 });
    expect(tracker.authoritySetId).toBe(1n);
  });

  it('of old blocks change nothing; those of a later set, and garbage, are refused', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    expect(await codeOf(tracker.acceptJustification(chain.justify(10), chain))).toBe(
      'CHAIN_FINALITY_UNPROVEN',
    );
    await tracker.acceptJustification(chain.justify(5), chain);
    const { newest } = tracker;
    expect(await tracker.acceptJustification(chain.justify(5), chain)).toBe(newest);
    expect(await codeOf(tracker.acceptJustification(new Uint8Array(40), chain))).toBe('CHAIN_PROOF_INVALID');
    expect(tracker.newest).toBe(newest);
  });
});

describe('failures and concurrency', () => {
  it('a failure keeps the blocks that were proven before it', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    const breaking = lying(chain, {
      proveFinality: async (number) => (number === 11 ? new Uint8Array(3) : chain.proofOf(number)),
    });
    expect(await codeOf(tracker.advance(breaking, chain.newest))).toBe('CHAIN_PROOF_INVALID');
    expect(tracker.newest?.number).toBe(10);
    expect(tracker.authoritySetId).toBe(2n);
    expect(await tracker.advance(chain, chain.newest)).toMatchObject({ number: 30 });
  });

  /** Answers after random turns of the event loop. */
  const jittered = (chain: GrandpaWorld, random: () => number): FinalitySource => {
    const pause = async (): Promise<void> => {
      for (let turns = Math.floor(random() * 8); turns > 0; turns -= 1) await new Promise(setImmediate);
    };
    return {
      proveFinality: async (number) => {
        await pause();
        return await chain.proveFinality(number);
      },
      header: async (hash) => {
        await pause();
        return await chain.header(hash);
      },
    };
  };

  it('many concurrent calls end at the same block as one call, and never go back', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      let state = seed;
      const random = (): number => {
        state = (state * 48271) % 2147483647;
        return state / 2147483647;
      };
      const chain = world();
      const tracker = trackerOf(chain);
      let highest = 0;
      const calls = Array.from({ length: 6 }, async (_, index) => {
        const source = jittered(chain, random);
        const target = chain.block(5 + Math.floor(random() * 26));
        const proven =
          index === 0
            ? await tracker.acceptJustification(chain.justify(5), source)
            : await tracker.advance(source, target);
        expect(tracker.newest?.number).toBeGreaterThanOrEqual(highest);
        highest = tracker.newest?.number ?? 0;
        if (index > 0) expect(proven?.number).toBeGreaterThanOrEqual(target.number);
      });
      await Promise.all(calls);
      const end = await tracker.advance(chain, chain.newest);
      expect(toHex(end.hash), `seed ${seed}`).toBe(toHex(chain.newest.hash));
      expect(tracker.authoritySetId).toBe(5n);
    }
  });

  it('a checkpoint header that arrives after newer blocks changes nothing', async () => {
    const chain = world();
    const tracker = trackerOf(chain);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = lying(chain, {
      header: async (hash) => {
        await held;
        return await chain.header(hash);
      },
    });
    const first = tracker.advance(slow, chain.block(0));
    await tracker.advance(chain, chain.newest);
    release();
    expect((await first).number).toBe(30);
  });

  it('an endpoint that lags behind another is not a replay', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const tracker = trackerOf(chain);
    const third = makeFinalityProof(chain.block(3), unanimous(chain.block(3), families[0] ?? [], 0n), []);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = lying(chain, {
      proveFinality: async () => {
        await held;
        return third;
      },
    });
    const late = tracker.advance(slow, chain.block(3));
    await tracker.advance(chain, chain.newest);
    release();
    expect((await late).number).toBe(5);
  });
});

describe('a proven block', () => {
  it('is made by a tracker only and cannot be altered, and a copy is not accepted', async () => {
    const chain = new GrandpaWorld(reigns.slice(0, 1));
    const proven = await trackerOf(chain).advance(chain, chain.newest);
    expect(ProvenBlock.isProven(proven)).toBe(true);
    expect(ProvenBlock.isProven({ ...proven })).toBe(false);
    expect(Object.isFrozen(proven)).toBe(true);
    // A caller without types.
    // @ts-expect-error the key is known to the tracker alone
    expect(() => new ProvenBlock(Symbol('FinalityTracker'), proven.header)).toThrow(TypeError);
  });
});

describe('a block before the newest proven one', () => {
  const advanced = async (chain: GrandpaWorld): Promise<FinalityTracker> => {
    const tracker = trackerOf(chain);
    await tracker.advance(chain, chain.newest);
    return tracker;
  };

  it('is proven by the parent hashes in between, and each way is walked once', async () => {
    const chain = world();
    const tracker = await advanced(chain);
    const before = chain.asked.length;
    const found = await tracker.ancestor(chain, 27);
    expect(found).toBeInstanceOf(ProvenBlock);
    expect(found).toMatchObject({
      number: 27,
      hash: chain.block(27).hash,
      stateRoot: chain.block(27).stateRoot,
    });
    expect(chain.asked.slice(before)).toEqual(['header', 'header', 'header']);
    await tracker.ancestor(chain, 27);
    expect(chain.asked.slice(before)).toHaveLength(4);
    expect((await tracker.ancestor(chain, 25)).hash).toEqual(chain.block(25).hash);
    expect(chain.asked.slice(before)).toHaveLength(7);
  });

  it('may be the newest one itself, without a question', async () => {
    const chain = world();
    const tracker = await advanced(chain);
    const before = chain.asked.length;
    expect(await tracker.ancestor(chain, 30)).toBe(tracker.newest);
    expect(chain.asked).toHaveLength(before);
  });

  it('is not known when it is newer than what is proven, or when nothing is', async () => {
    const chain = world();
    expect(await codeOf(trackerOf(chain).ancestor(chain, 1))).toBe('CHAIN_UNAVAILABLE');
    expect(await codeOf((await advanced(chain)).ancestor(chain, 31))).toBe('CHAIN_UNAVAILABLE');
  });

  it('is refused when a header has another number than its child says', async () => {
    const chain = world();
    const odd = makeBlock(chain.newest, { number: 32 });
    const tracker = new FinalityTracker({ ...chain.checkpoint(29), blockNumber: 32, blockHash: odd.hash });
    const source = lying(chain, {
      header: (hash) =>
        toHex(hash) === toHex(odd.hash) ? Promise.resolve(headerJson(odd)) : chain.header(hash),
    });
    expect(await tracker.advance(source, odd)).toMatchObject({ number: 32 });
    expect(await codeOf(tracker.ancestor(source, 31))).toBe('CHAIN_PROOF_INVALID');
  });

  it('that is far away is reached in several calls', async () => {
    const chain = new GrandpaWorld([{ voters: families[0] ?? [], blocks: 2_005 }]);
    const tracker = await advanced(chain);
    expect(await codeOf(tracker.ancestor(chain, 1))).toBe('CHAIN_UNAVAILABLE');
    expect((await tracker.ancestor(chain, 1)).hash).toEqual(chain.block(1).hash);
  });
});
