import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../../src/bytes/concat.ts';
import { authorityChange } from '../../../../src/chain/proof/authority-change.ts';
import { decodeHeader, detachedHeader, headerFromJson } from '../../../../src/chain/proof/header.ts';
import {
  forcedChange,
  grandpaLog,
  headerJson,
  type MadeBlock,
  makeBlock,
  makeVoters,
  scheduledChange,
} from '../../../support/grandpa-world.ts';
import { codeOf } from '../../../support/thrown.ts';

const withLogs = (...logs: Uint8Array[]): MadeBlock => makeBlock(undefined, { logs });
const item = (variant: number, engine: string): Uint8Array =>
  Uint8Array.of(variant, ...utf8(engine), 8, 0xaa, 0xbb);

const logs = [Uint8Array.of(0, 4, 7), item(4, 'BABE'), item(5, 'BABE'), item(6, 'BABE'), Uint8Array.of(8)];

describe('headers', () => {
  it('read from JSON and from SCALE are the same, with the hash of their bytes', () => {
    const block = makeBlock(makeBlock(undefined, { number: 70_000 }), { logs });
    const header = headerFromJson(headerJson(block));
    expect(header).toEqual(decodeHeader(block.encoded));
    expect(header).toMatchObject({ hash: block.hash, number: 70_001, stateRoot: block.stateRoot });
    expect(header.digest.map(({ kind }) => kind)).toEqual([
      'other',
      'consensus',
      'seal',
      'preRuntime',
      'environmentUpdated',
    ]);
    expect(header.digest[1]).toEqual({ kind: 'consensus', engine: 'BABE', bytes: Uint8Array.of(0xaa, 0xbb) });
  });

  it('have numbers up to the largest u32', () => {
    const at = (number: string): unknown => ({ ...Object(headerJson(withLogs())), number });
    expect(headerFromJson(at('0xffffffff')).number).toBe(2 ** 32 - 1);
    expect(headerFromJson(at('0x40000000')).number).toBe(2 ** 30);
    expect(headerFromJson(at('0x40')).number).toBe(64);
  });

  it('are copies: equal, without shared memory', () => {
    const { encoded } = withLogs(...logs);
    const header = detachedHeader(decodeHeader(encoded));
    const before = structuredClone(header);
    encoded.fill(0);
    expect(header).toEqual(before);
  });

  it.each([
    ['a cut one', (bytes: Uint8Array) => bytes.subarray(0, -1)],
    ['one with more behind it', (bytes: Uint8Array) => Uint8Array.of(...bytes, 0)],
    ['nothing', () => new Uint8Array(0)],
    ['one of more than a mebibyte', () => new Uint8Array(1024 * 1024 + 1)],
  ])('%s is refused', (_name, change) => {
    expect(codeOf(() => decodeHeader(change(withLogs(...logs).encoded)))).toBe('CHAIN_PROOF_INVALID');
  });

  it('at most 64 digest items are read, because each costs memory', () => {
    const items = (count: number): Uint8Array[] => Array.from({ length: count }, () => Uint8Array.of(8));
    expect(decodeHeader(withLogs(...items(64)).encoded).digest).toHaveLength(64);
    expect(codeOf(() => decodeHeader(withLogs(...items(65)).encoded))).toBe('CHAIN_PROOF_INVALID');
  });

  it('a digest item of an unknown kind is refused', () => {
    expect(codeOf(() => decodeHeader(withLogs(Uint8Array.of(7)).encoded))).toBe('CHAIN_PROOF_INVALID');
  });

  const json = (change: Record<string, unknown>): unknown => ({
    ...Object(headerJson(withLogs(...logs))),
    ...change,
  });
  it.each([
    ['null', null],
    ['text', 'header'],
    ['no digest', json({ digest: undefined })],
    ['a digest without a list', json({ digest: { logs: 'none' } })],
    ['logs that are no hex', json({ digest: { logs: ['0xzz'] } })],
    ['logs that are no text', json({ digest: { logs: [1] } })],
    ['two logs in one text', json({ digest: { logs: ['0x0808'] } })],
    ['one log in two texts', json({ digest: { logs: ['0x00', '0x0407'] } })],
    ['a number that is none', json({ number: 5 })],
    ['a number above u32', json({ number: '0x100000000' })],
    ['a hash of 31 bytes', json({ parentHash: `0x${'11'.repeat(31)}` })],
    ['a hash without 0x', json({ stateRoot: '11'.repeat(32) })],
  ])('JSON with %s is refused', (_name, value) => {
    expect(codeOf(() => headerFromJson(value))).toBe('CHAIN_PROOF_INVALID');
  });
});

describe('authority changes', () => {
  const [voters, others] = [makeVoters(3), makeVoters(2, 9)];
  const changeOf = (...digest: Uint8Array[]) => authorityChange(decodeHeader(withLogs(...digest).encoded));

  it('are found by engine and variant, with weights and delay', () => {
    expect(changeOf()).toBeUndefined();
    expect(changeOf(...logs)).toBeUndefined();
    const weighted = voters.map((voter) => ({ ...voter, weight: 2n ** 63n }));
    expect(changeOf(...logs, scheduledChange(weighted, 12))).toEqual({
      kind: 'scheduled',
      delay: 12,
      nextAuthorities: weighted.map(({ signer, weight }) => ({ publicKey: signer.publicKey, weight })),
    });
  });

  it('a forced one wins over a scheduled one', () => {
    expect(changeOf(scheduledChange(voters), forcedChange(others, 4, 1))).toMatchObject({
      kind: 'forced',
      delay: 1,
    });
  });

  it('disabled authorities, pauses and resumptions are not changes', () => {
    for (const variant of [3, 4, 5]) {
      expect(changeOf(grandpaLog(Uint8Array.of(variant, 0, 0, 0, 0)))).toBeUndefined();
    }
  });

  it.each([
    ['two of a kind', [scheduledChange(voters), scheduledChange(others)]],
    ['an unknown variant', [grandpaLog(Uint8Array.of(6))]],
    ['an empty log', [grandpaLog(new Uint8Array(0))]],
    ['a cut log', [grandpaLog(Uint8Array.of(1, 4, 0))]],
    ['a log with more behind it', [grandpaLog(Uint8Array.of(1, 0, 0, 0, 0, 0, 0))]],
  ])('%s is refused', (_name, digest) => {
    expect(codeOf(() => changeOf(...digest))).toBe('CHAIN_PROOF_INVALID');
  });
});
