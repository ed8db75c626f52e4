import canonicalize from 'canonicalize';
import { describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { u64BigEndian } from '../../../src/bytes/integers.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { combineShares } from '../../../src/crypto/shamir.ts';
import { sealToXWing } from '../../../src/hpke/hpke-x-wing.ts';
import {
  isSplitAmong,
  openPart,
  PART_BYTES,
  PART_LABEL,
  type PartBinding,
  partDigest,
  platformOfPart,
  shareOfPart,
  splitAmongCustodians,
} from '../../../src/keyslots/custody-parts.ts';
import { confirmSlot, generationVerifier, withdrawSlot } from '../../../src/keyslots/generations.ts';
import { decodeKeyslotFile, encodeKeyslotFile } from '../../../src/keyslots/keyslot-codec.ts';
import { custodySetOf } from '../../../src/trust/custody-set.ts';
import { parseTrustSection } from '../../../src/trust/trust-section.ts';
import { custodians, custodyOf } from '../../support/custodians.ts';
import { enrol, fileOf, identity } from '../../support/keyslot-fixtures.ts';
import { codeOf } from '../../support/thrown.ts';

const setOf = (threshold: number, members = custodians) =>
  custodySetOf(
    parseTrustSection({
      chain: { genesisHash: `0x${'00'.repeat(32)}` },
      custody: custodyOf(threshold, members),
    }),
  );
const platform = new Uint8Array(16).fill(0xcc);
const policy = { set: setOf(2), platform };
const made = await enrol({ t: 2, n: 3 }, { custody: policy });
const file = fileOf(made);
const [generation] = file.generations;
const custody = generation.custody ?? expect.fail('no custody');
const bindingAt = (index: number): PartBinding => ({
  ...identity,
  generation: 1,
  threshold: 2,
  count: 3,
  index,
  set: custody.set,
});
const partAt = (index: number): Uint8Array | undefined =>
  openPart(
    custodians[index]?.seed.reveal() ?? new Uint8Array(32),
    bindingAt(index),
    custody.parts[index]?.sealed ?? new Uint8Array(0),
  );

describe('the parts of custodians in a generation', () => {
  it('open for their custodian, carry the platform, and any two give the store key', () => {
    const parts = [0, 1, 2].map((index) => partAt(index) ?? expect.fail('does not open'));
    expect(parts.map((part) => toHex(platformOfPart(part)))).toEqual(Array(3).fill(toHex(platform)));
    expect(parts.map((part) => toHex(partDigest(part)))).toEqual(
      custody.parts.map(({ digest }) => toHex(digest)),
    );
    for (const [a = 0, b = 0] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ]) {
      const shares = [parts[a], parts[b]].map((part) => shareOfPart(part ?? new Uint8Array(0)));
      expect(combineShares(shares, 2)).toEqual(made.storeKey.reveal());
    }
  });

  it.each<[string, Partial<PartBinding>]>([
    ['generation', { generation: 2 }],
    ['store', { storeId: new Uint8Array(16) }],
    ['place', { index: 1 }],
    ['threshold', { threshold: 3 }],
    ['number of parts', { count: 4 }],
    ['set of custodians', { set: new Uint8Array(32) }],
  ])('do not open for another %s', (_what, change) => {
    const [part] = custody.parts;
    const seed = custodians[0]?.seed.reveal() ?? new Uint8Array(32);
    expect(openPart(seed, bindingAt(0), part?.sealed ?? new Uint8Array(0))).toBeDefined();
    expect(openPart(seed, { ...bindingAt(0), ...change }, part?.sealed ?? new Uint8Array(0))).toBeUndefined();
  });

  it('are under the MAC, also after a slot was confirmed or withdrawn', () => {
    const { storeKey, servers } = made;
    const [server = expect.fail()] = servers;
    const isMade = (one: typeof generation) => generationVerifier(identity, one)(storeKey.reveal());
    expect(isMade(generation)).toBe(true);
    expect(isMade({ ...generation, custody: { ...custody, formerSets: true } })).toBe(false);
    expect(isMade({ ...generation, custody: { ...custody, threshold: 3 } })).toBe(false);
    expect(isMade({ ...generation, custody: { ...custody, parts: custody.parts.toReversed() } })).toBe(false);
    expect(isMade({ ...generation, custody: undefined })).toBe(false);
    const withdrawn = withdrawSlot(file, storeKey, server.slotId);
    const confirmed = confirmSlot(withdrawn, storeKey, server.slotId, server.instanceId);
    expect(confirmed.generations[0].custody).toEqual(custody);
    expect(isMade(confirmed.generations[0])).toBe(true);
  });

  it('do not open when they are of another length: any text can be sealed to a custodian', () => {
    const [{ publicKey, seed } = expect.fail()] = custodians;
    const aad = concatBytes(
      ...[identity.storeId, identity.account, u64BigEndian(1), Uint8Array.of(2, 3, 0), custody.set],
    );
    const opened = (byteLength: number) => {
      const plaintext = new Uint8Array(byteLength);
      const { enc, ciphertext } = sealToXWing(
        { recipientPublicKey: publicKey, info: PART_LABEL, aad, plaintext },
        systemRandom,
      );
      return openPart(seed.reveal(), bindingAt(0), concatBytes(enc, ciphertext));
    };
    expect(opened(PART_BYTES)).toEqual(new Uint8Array(PART_BYTES));
    for (const byteLength of [0, PART_BYTES - 1, PART_BYTES + 1]) expect(opened(byteLength)).toBeUndefined();
  });

  it.each([0, 15, 17])('are not made for a platform id of %i bytes', (byteLength) => {
    const withPlatform = { ...policy, platform: new Uint8Array(byteLength) };
    expect(() =>
      splitAmongCustodians(
        made.storeKey,
        { ...identity, generation: 1 },
        withPlatform,
        undefined,
        systemRandom,
      ),
    ).toThrow(new RangeError('a platform id has 16 bytes'));
  });

  it('may all be needed', async () => {
    const every = fileOf(await enrol({ t: 2, n: 3 }, { custody: { set: setOf(3), platform } }));
    expect(decodeKeyslotFile(encodeKeyslotFile(every)).generations[0].custody?.threshold).toBe(3);
  });

  it('are read from the file as they were written, and files without them too', async () => {
    expect(decodeKeyslotFile(encodeKeyslotFile(file)).generations[0].custody).toEqual(custody);
    const plain = fileOf(await enrol({ t: 2, n: 3 }));
    const bytes = encodeKeyslotFile(plain);
    expect(Buffer.from(bytes).toString()).not.toContain('custody');
    expect(decodeKeyslotFile(bytes).generations[0].custody).toBeUndefined();
  });

  it('fit into the file with 16 custodians and 16 slots, twice', async () => {
    const many = Array.from({ length: 16 }, (_, index) => ({
      ...(custodians[index % 3] ?? expect.fail()),
      name: `custodian-${index}`,
    }));
    const set = { threshold: 9, custodians: many.map(({ name, publicKey: key }) => ({ name, key })) };
    const big = await enrol({ t: 9, n: 16 }, { custody: { set, platform } });
    const [one] = fileOf(big).generations;
    const both = { ...identity, generations: [{ ...one, generation: 2 }, one] as const };
    // Slot ids must differ in a real file; only the length counts here.
    expect(encodeKeyslotFile(both).length).toBeLessThan(128 * 1024);
  });

  type Custody = Record<string, unknown> & { parts: Record<string, unknown>[] };
  it.each<[string, (custody: Custody) => void]>([
    ['a threshold of 1', (json) => Object.assign(json, { threshold: 1 })],
    ['a threshold above the parts', (json) => Object.assign(json, { threshold: 4 })],
    ['a threshold of 0, as if there were no parts', (json) => Object.assign(json, { threshold: 0 })],
    [
      'a threshold of 0 after other custodians',
      (json) => Object.assign(json, { threshold: 0, formerSets: true }),
    ],
    [
      'a threshold of 1 after other custodians',
      (json) => Object.assign(json, { threshold: 1, formerSets: true }),
    ],
    ['no part', (json) => Object.assign(json, { parts: [] })],
    ['no part after other custodians', (json) => Object.assign(json, { parts: [], formerSets: true })],
    [
      'no part, no threshold and no other custodians',
      (json) => Object.assign(json, { parts: [], threshold: 0 }),
    ],
    ['a short part', (json) => Object.assign(json.parts[0] ?? {}, { sealed: '0x00' })],
    ['a short digest', (json) => Object.assign(json.parts[0] ?? {}, { digest: '0x00' })],
    ['a name twice', (json) => Object.assign(json.parts[1] ?? {}, { custodian: 'alice' })],
    ['names in another order', (json) => json.parts.reverse()],
    ['an unknown field', (json) => Object.assign(json, { extra: 1 })],
    ['no set', (json) => Object.assign(json, { set: '0x' })],
  ])('are refused with %s', (_what, damage) => {
    const json = JSON.parse(Buffer.from(encodeKeyslotFile(file)).toString());
    damage(json.generations[0].custody);
    expect(codeOf(() => decodeKeyslotFile(utf8(canonicalize(json) ?? '')))).toBe('KEYSLOT_FILE_MALFORMED');
  });
});

describe('a changed set of custodians', () => {
  const split = (set: ReturnType<typeof setOf>, former = generation.custody) =>
    splitAmongCustodians(
      made.storeKey,
      { ...identity, generation: 2 },
      { set, platform },
      former,
      systemRandom,
    );

  it('is noted for as long as the store key is the same', () => {
    expect(split(setOf(2))?.formerSets).toBe(false);
    const changed = split(setOf(3));
    expect(changed?.formerSets).toBe(true);
    expect(split(setOf(3), changed)?.formerSets).toBe(true);
    expect(split(setOf(2), undefined)?.formerSets).toBe(false);
  });

  it('is noted also when there are none any more', () => {
    expect(split(undefined)).toMatchObject({ formerSets: true, threshold: 0, parts: [] });
    expect(
      splitAmongCustodians(
        made.storeKey,
        { ...identity, generation: 2 },
        { set: undefined, platform },
        undefined,
        systemRandom,
      ),
    ).toBeUndefined();
    const none = { ...generation, custody: split(undefined) };
    const bytes = encodeKeyslotFile({ ...identity, generations: [none] });
    expect(decodeKeyslotFile(bytes).generations[0].custody?.formerSets).toBe(true);
  });

  it('asks for a new generation', () => {
    expect(isSplitAmong(custody, setOf(2))).toBe(true);
    expect(isSplitAmong(custody, setOf(3))).toBe(false);
    expect(isSplitAmong(custody, undefined)).toBe(false);
    expect(isSplitAmong(undefined, setOf(2))).toBe(false);
    expect(isSplitAmong(undefined, undefined)).toBe(true);
    expect(isSplitAmong(split(undefined), undefined)).toBe(true);
  });
});
