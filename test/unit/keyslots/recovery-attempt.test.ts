import { beforeAll, describe, expect, it } from 'vitest';
import { AccountId, KeyId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { addGeneration, confirmSlot, withdrawSlot } from '../../../src/keyslots/generations.ts';
import type { Generation, KeyslotFile, Slot } from '../../../src/keyslots/keyslot-file.ts';
import { openStoreKey, RecoveryAttempt, type SlotAnswer } from '../../../src/keyslots/recovery-attempt.ts';
import { openSlot, sealSlot } from '../../../src/keyslots/slot-seal.ts';
import {
  answerOf,
  type Enrolment,
  enrol,
  enrolledServer,
  fileOf,
  identity,
} from '../../support/keyslot-fixtures.ts';

let made: Enrolment;
let file: KeyslotFile;
let answers: readonly SlotAnswer[];

beforeAll(async () => {
  made = await enrol({ t: 3, n: 5 });
  file = fileOf(made);
  answers = made.servers.map(answerOf);
});

function nth<Item>(list: readonly Item[], index: number): Item {
  const item = list[index];
  if (item === undefined) throw new TypeError(`there is no item ${index}`);
  return item;
}

/** A malicious server and the host together: they rewrite its slot with another share, sealed under its own key. */
function withForgedShare(
  { generation, servers }: Enrolment,
  index: number,
  forge: (share: Uint8Array) => Uint8Array,
): Generation {
  const slot = nth(generation.slots, index);
  const { key } = nth(servers, index);
  const binding = { ...identity, ...generation, ...slot };
  const share = openSlot(key, binding, slot.sealed);
  if (share === undefined) throw new TypeError('the slot does not open');
  const sealed = sealSlot(key, binding, forge(share), systemRandom);
  return withSlot(generation, { ...slot, sealed });
}

const withSlot = (generation: Generation, changed: Slot): Generation => ({
  ...generation,
  slots: generation.slots.map((slot) => (slot.index === changed.index ? changed : slot)),
});

const flipped = (share: Uint8Array): Uint8Array => share.map((byte, at) => (at === 0 ? byte ^ 1 : byte));
const onlyGeneration = (generation: Generation): KeyslotFile => ({ ...identity, generations: [generation] });
const hexOf = (secret: SecretBytes | undefined): string =>
  secret === undefined ? 'none' : toHex(secret.reveal());

describe('recovering', () => {
  it('opens at t good slots and not before, and reports k of t', async () => {
    const attempt = new RecoveryAttempt(file, 2);
    for (const [index, answer] of answers.slice(0, 3).entries()) {
      expect(await attempt.tryOpen()).toBeUndefined();
      expect(attempt.progress).toMatchObject([
        { generation: 1, t: 3, n: 5, slots: 5, opened: index, allowed: true, inconsistent: false },
      ]);
      expect(attempt.offer(answer)).toBe('opened');
    }
    // Not inconsistent before it was tried.
    expect(attempt.progress[0]).toMatchObject({ opened: 3, inconsistent: false });
    const recovered = await attempt.tryOpen();
    expect(hexOf(recovered?.storeKey)).toBe(hexOf(made.storeKey));
    expect(recovered).toMatchObject({ generation: 1, outsiders: [] });
  });

  it('opens with every subset of t slots, in any order', async () => {
    for (let bits = 0; bits < 32; bits++) {
      const chosen = answers.filter((_, index) => (bits >> index) & 1).reverse();
      const { recovered } = await openStoreKey(file, 2, chosen);
      expect(hexOf(recovered?.storeKey)).toBe(chosen.length >= 3 ? hexOf(made.storeKey) : 'none');
    }
  });

  it('never opens with slots of one platform alone, in any order', async () => {
    for (let bits = 0; bits < 32; bits++) {
      // The servers of set bits share a platform; the others have one each.
      const placed = answers.map((answer, at) => ({
        ...answer,
        platform: (bits >> at) & 1 ? 'shared' : answer.platform,
      }));
      const shared = placed.filter(({ platform }) => platform === 'shared');
      const { recovered, verdicts } = await openStoreKey(file, 2, shared);
      expect(recovered).toBeUndefined();
      expect(verdicts).toEqual(shared.map((_answer, at) => (at < 2 ? 'opened' : 'crowded')));
      // One server elsewhere is enough, and it does not matter which two of the shared platform count.
      const [elsewhere] = placed.filter(({ platform }) => platform !== 'shared');
      if (elsewhere === undefined || shared.length < 2) continue;
      for (const order of [
        [elsewhere, ...shared],
        [...shared, elsewhere],
      ]) {
        expect(hexOf((await openStoreKey(file, 2, order)).recovered?.storeKey)).toBe(hexOf(made.storeKey));
      }
    }
  });

  it('finds two good slots on one platform next to a bad one', async () => {
    const resigned = resign(onlyGeneration(withForgedShare(made, 0, flipped)), made.storeKey);
    const placed = answers.map((answer, at) => (at < 3 ? { ...answer, platform: 'shared' } : answer));
    const { recovered } = await openStoreKey(resigned, 2, placed.slice(0, 4));
    expect(hexOf(recovered?.storeKey)).toBe(hexOf(made.storeKey));
  });

  it('names a server without the key, a lying server and an unknown server, and continues without them', async () => {
    const [a, b, c, d, e] = [0, 1, 2, 3, 4].map((index) => nth(answers, index));
    if (!a || !b || !c || !d || !e) throw new TypeError('five answers');
    const random = () => new SecretBytes(systemRandom(32));
    const attempt = new RecoveryAttempt(file, 2);
    expect(attempt.offer({ ...a, key: random(), keyId: KeyId.of(systemRandom(16)) })).toBe('other-key');
    expect(attempt.offer({ ...b, key: random() })).toBe('wrong-key');
    expect(attempt.offer({ ...c, server: d.server })).toBe('foreign');
    expect(attempt.offer({ ...c, slotId: SlotId.of(systemRandom(16)) })).toBe('foreign');
    expect([c, d, d, e].map((answer) => attempt.offer(answer))).toEqual([
      'opened',
      'opened',
      'known',
      'opened',
    ]);
    expect((await attempt.tryOpen())?.outsiders).toEqual([]);
    expect(attempt.offer(b)).toBe('opened');
  });

  it.each([0, 2, 4])('names a server whose slot holds another share (slot %i)', async (liar) => {
    const forged = onlyGeneration(withForgedShare(made, liar, flipped));
    // The MAC covers the sealed slots; the host cannot renew it, so this is what a lie at enrolment time looks like.
    const resigned = resign(forged, made.storeKey);
    const { recovered, verdicts } = await openStoreKey(resigned, 2, answers);
    expect(verdicts).toEqual(Array(5).fill('opened'));
    expect(hexOf(recovered?.storeKey)).toBe(hexOf(made.storeKey));
    expect(recovered?.outsiders).toEqual([nth(made.servers, liar).server]);
  });

  it('names a lying server that answers only after the store is open', async () => {
    const resigned = resign(onlyGeneration(withForgedShare(made, 4, flipped)), made.storeKey);
    const attempt = new RecoveryAttempt(resigned, 2);
    for (const answer of answers.slice(0, 3)) attempt.offer(answer);
    expect((await attempt.tryOpen())?.outsiders).toEqual([]);
    attempt.offer(nth(answers, 4));
    expect((await attempt.tryOpen())?.outsiders).toEqual([nth(made.servers, 4).server]);
  });

  it('with lying servers among exactly t answers, waits for more instead of opening a wrong store', async () => {
    const resigned = resign(onlyGeneration(withForgedShare(made, 0, flipped)), made.storeKey);
    const attempt = new RecoveryAttempt(resigned, 2);
    for (const answer of answers.slice(0, 3)) attempt.offer(answer);
    expect(await attempt.tryOpen()).toBeUndefined();
    expect(attempt.progress[0]).toMatchObject({ opened: 3, inconsistent: true });
    attempt.offer(nth(answers, 3));
    expect(hexOf((await attempt.tryOpen())?.storeKey)).toBe(hexOf(made.storeKey));
    expect(attempt.progress[0]).toMatchObject({ opened: 4, inconsistent: false });
  });

  it('refuses a share with x = 0, because it alone would choose the store key', async () => {
    const zero = withForgedShare(made, 1, (share) => share.map((byte, at) => (at === 32 ? 0 : byte)));
    const { verdicts, recovered } = await openStoreKey(onlyGeneration(zero), 2, answers);
    expect(verdicts).toEqual(['opened', 'bad-share', 'opened', 'opened', 'opened']);
    expect(recovered).toBeUndefined();
  });

  it('a share with the x of another slot does not affect subsets without it, and is named', async () => {
    const x = shareOf(made, 0)[32] ?? 0;
    const doubled = withForgedShare(made, 3, (share) => share.map((byte, at) => (at === 32 ? x : byte)));
    const resigned = resign(onlyGeneration(doubled), made.storeKey);
    const { recovered } = await openStoreKey(resigned, 2, answers);
    expect(hexOf(recovered?.storeKey)).toBe(hexOf(made.storeKey));
    expect(recovered?.outsiders).toEqual([nth(made.servers, 3).server]);
  });

  it('two shares with one x, opened before all others, are never combined, and the other slots open', async () => {
    const x = shareOf(made, 0)[32] ?? 0;
    const doubled = withForgedShare(made, 3, (share) => share.map((byte, at) => (at === 32 ? x : byte)));
    const resigned = resign(onlyGeneration(doubled), made.storeKey);
    const order = [3, 0, 1, 2].map((index) => nth(answers, index));
    const { recovered } = await openStoreKey(resigned, 2, order);
    expect(hexOf(recovered?.storeKey)).toBe(hexOf(made.storeKey));
  });

  it.each([0, 1, 2])('names a server whose slot holds a copy of share %i', async (copied) => {
    const forged = withForgedShare(made, 3, () => shareOf(made, copied));
    const resigned = resign(onlyGeneration(forged), made.storeKey);
    const { recovered } = await openStoreKey(resigned, 2, answers);
    expect(recovered?.outsiders).toEqual([nth(made.servers, 3).server]);
  });

  it('does not open when the host changed any field that the MAC covers', async () => {
    const slot = nth(made.generation.slots, 0);
    const changes: Generation[] = [
      { ...made.generation, mac: made.generation.mac.map((byte) => byte ^ 1) },
      withSlot(made.generation, { ...slot, confirmed: !slot.confirmed }),
      { ...made.generation, lineage: made.generation.lineage.map((byte) => byte ^ 1) },
      withSlot(made.generation, { ...slot, recoveryToken: new SecretBytes(new Uint8Array(32)) }),
      { ...made.generation, slots: made.generation.slots.slice(1) },
    ];
    for (const changed of changes) {
      const attempt = new RecoveryAttempt(onlyGeneration(changed), 2);
      for (const answer of answers) attempt.offer(answer);
      expect(await attempt.tryOpen()).toBeUndefined();
      expect(attempt.progress[0]?.inconsistent).toBe(true);
    }
  });

  it.each<[string, (file: KeyslotFile) => KeyslotFile]>([
    ['another store', (whole) => ({ ...whole, storeId: new Uint8Array(16) })],
    ['another account', (whole) => ({ ...whole, account: AccountId.of(new Uint8Array(32)) })],
    ['another generation number', (whole) => onlyGeneration({ ...whole.generations[0], generation: 9 })],
    ['a smaller t', (whole) => onlyGeneration({ ...whole.generations[0], t: 2 })],
    ['another n', (whole) => onlyGeneration({ ...whole.generations[0], n: 6 })],
  ])('slots moved to %s do not open', async (_name, move) => {
    const { recovered, verdicts } = await openStoreKey(move(file), 2, answers);
    expect(verdicts).toEqual(Array(5).fill('wrong-key'));
    expect(recovered).toBeUndefined();
  });

  it('refuses a generation whose threshold is below the measured minimum', async () => {
    const attempt = new RecoveryAttempt(file, 4);
    expect(answers.map((answer) => attempt.offer(answer))).toEqual(Array(5).fill('refused'));
    expect(await attempt.tryOpen()).toBeUndefined();
    expect(attempt.progress[0]).toMatchObject({ allowed: false, opened: 0 });
  });

  it.each([0, 1.5, Number.NaN])('a measured minimum of %d is misuse', (minimum) => {
    expect(() => new RecoveryAttempt(file, minimum)).toThrow(RangeError);
  });

  it('parallel calls do not disturb each other', async () => {
    const attempt = new RecoveryAttempt(file, 2);
    const tries = answers.map((answer) => {
      attempt.offer(answer);
      return attempt.tryOpen();
    });
    const keys = (await Promise.all(tries)).map((recovered) => hexOf(recovered?.storeKey));
    expect(keys.at(-1)).toBe(hexOf(made.storeKey));
  });

  it('returns copies: wiping one key, or the attempt, does not wipe the others', async () => {
    const attempt = new RecoveryAttempt(file, 2);
    for (const answer of answers) attempt.offer(answer);
    const one = await attempt.tryOpen();
    const two = await attempt.tryOpen();
    one?.storeKey.wipe();
    attempt.wipe();
    expect(hexOf(two?.storeKey)).toBe(hexOf(made.storeKey));
    expect(await attempt.tryOpen()).toBeUndefined();
  });
});

describe('recovering with t = 1', () => {
  it('needs a configured minimum of 1, and any one server opens', async () => {
    const alone = await enrol({ t: 1, n: 2 });
    const [, second] = alone.servers.map(answerOf);
    if (second === undefined) throw new TypeError('two servers');
    expect((await openStoreKey(fileOf(alone), 2, [second])).recovered).toBeUndefined();
    const { recovered } = await openStoreKey(fileOf(alone), 1, [second]);
    expect(hexOf(recovered?.storeKey)).toBe(hexOf(alone.storeKey));
  });

  it('opens a store key that ends with zero: it is no share', async () => {
    const storeKey = new SecretBytes(systemRandom(32).fill(0, 31));
    const alone = await enrol({ t: 1, n: 2 }, { storeKey });
    const { recovered } = await openStoreKey(fileOf(alone), 1, alone.servers.map(answerOf));
    expect(hexOf(recovered?.storeKey)).toBe(hexOf(storeKey));
  });

  it('names a server with a slot that wraps another key', async () => {
    const alone = await enrol({ t: 1, n: 2 });
    const resigned = resign(onlyGeneration(withForgedShare(alone, 0, flipped)), alone.storeKey);
    const { recovered } = await openStoreKey(resigned, 1, alone.servers.map(answerOf));
    expect(hexOf(recovered?.storeKey)).toBe(hexOf(alone.storeKey));
    expect(recovered?.outsiders).toEqual([nth(alone.servers, 0).server]);
  });
});

describe('recovering from two generations', () => {
  it('uses the newer one when both can open, and the older one when only that can', async () => {
    const newer = await enrol({ t: 2, n: 3 }, { storeKey: made.storeKey, generation: 2 });
    const both = addGeneration(file, newer.generation).file;
    const newerAnswers = newer.servers.map(answerOf);
    const all = await openStoreKey(both, 2, [...answers, ...newerAnswers]);
    expect(all.recovered?.generation).toBe(2);
    const old = await openStoreKey(both, 2, [...answers.slice(2), ...newerAnswers.slice(0, 1)]);
    expect(old.recovered?.generation).toBe(1);
    expect(hexOf(old.recovered?.storeKey)).toBe(hexOf(made.storeKey));
    const neither = await openStoreKey(both, 2, [...answers.slice(3), ...newerAnswers.slice(0, 1)]);
    expect(neither.recovered).toBeUndefined();
  });

  it('never combines shares of different generations', async () => {
    const newer = await enrol({ t: 3, n: 5 }, { storeKey: made.storeKey, generation: 2 });
    const both = addGeneration(file, newer.generation).file;
    const mixed = [...answers.slice(0, 2), ...newer.servers.slice(0, 2).map(answerOf)];
    const { verdicts, recovered } = await openStoreKey(both, 2, mixed);
    expect(verdicts).toEqual(Array(4).fill('opened'));
    expect(recovered).toBeUndefined();
  });

  it('distinguishes keys of a server with a slot in each by slot id', async () => {
    const again = made.servers.map((server) => ({ ...enrolledServer(1), server: server.server }));
    const newer = await enrol({ t: 3, n: 5 }, { storeKey: made.storeKey, generation: 2, servers: again });
    const both = addGeneration(file, newer.generation).file;
    const { recovered, verdicts } = await openStoreKey(both, 2, [...answers, ...again.map(answerOf)]);
    expect(verdicts).toEqual(Array(10).fill('opened'));
    expect(recovered?.generation).toBe(2);
  });
});

/** Renews a generation's MAC under the store key: by confirming a slot and withdrawing it again. */
function resign(changed: KeyslotFile, storeKey: SecretBytes): KeyslotFile {
  const { slotId, instanceId } = nth(changed.generations[0].slots, 0);
  return withdrawSlot(confirmSlot(changed, storeKey, slotId, instanceId), storeKey, slotId);
}

function shareOf({ generation, servers }: Enrolment, index: number): Uint8Array {
  const slot = nth(generation.slots, index);
  const share = openSlot(nth(servers, index).key, { ...identity, ...generation, ...slot }, slot.sealed);
  return share ?? new Uint8Array(33);
}
