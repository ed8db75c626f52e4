import { describe, expect, it } from 'vitest';
import { agree, contentFingerprint, snapshotFingerprint } from '../../../src/chain/agreement.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import { accountOf, serverRecord } from '../../support/chain-fixtures.ts';
import { memoryChain } from '../../support/memory-chain.ts';

const base = await memoryChain({ servers: [serverRecord(1), serverRecord(2)] }).snapshot();
const withServer = (changes: Parameters<typeof serverRecord>[1]): ChainSnapshot => ({
  ...base,
  servers: [serverRecord(1, changes), serverRecord(2)],
});
const other = withServer({ endpoint: 'evil.example:1' });
const failing = (): Promise<ChainSnapshot> => Promise.reject(new Error('away'));
const never = new Promise<ChainSnapshot>(() => undefined);

describe('fingerprints', () => {
  it.each([
    ['stash', withServer({ stash: accountOf(9) })],
    ['account', withServer({ account: accountOf(9) })],
    ['x25519PublicKey', withServer({ x25519PublicKey: serverRecord(9).x25519PublicKey })],
    ['endpoint', other],
    ['quote', withServer({ quote: new Uint8Array(3) })],
    ['active', withServer({ active: false })],
    ['signer', withServer({ signer: true })],
    ['a left-out server', { ...base, servers: base.servers.slice(1) }],
    ['measurements', { ...base, acceptedMeasurements: [new Uint8Array(32)] }],
    ['undecodable records', { ...base, undecodableRecords: 1 }],
    ['genesis', { ...base, genesisHash: base.block.hash }],
  ])('differ when %s differs', (_name, changed: ChainSnapshot) => {
    expect(contentFingerprint(changed)).not.toBe(contentFingerprint(base));
    expect(snapshotFingerprint(changed)).not.toBe(snapshotFingerprint(base));
  });

  it('of contents ignore the block, fingerprints of snapshots include it', () => {
    const later: ChainSnapshot = { ...base, block: { ...base.block, number: base.block.number + 1 } };
    expect(contentFingerprint(later)).toBe(contentFingerprint(base));
    expect(snapshotFingerprint(later)).not.toBe(snapshotFingerprint(base));
  });
});

describe('agree', () => {
  it('returns the snapshot of enough endpoints without waiting for an answer that cannot change it', async () => {
    const outcome = await agree([Promise.resolve(base), never, Promise.resolve(base)], 2);
    expect(outcome).toEqual({ agreed: true, snapshot: base });
  });

  it('outvotes an endpoint that lies', async () => {
    const outcome = await agree([Promise.resolve(other), Promise.resolve(base), Promise.resolve(base)], 2);
    expect(outcome).toEqual({ agreed: true, snapshot: base });
  });

  it('fails when two versions both have enough endpoints', async () => {
    const reads = [other, other, base, base].map((snapshot) => Promise.resolve(snapshot));
    expect(await agree(reads, 2)).toMatchObject({ agreed: false, answers: 4, versions: 2 });
  });

  it('fails when too few endpoints answer or all differ', async () => {
    expect(await agree([Promise.resolve(base), failing(), failing()], 2)).toMatchObject({
      agreed: false,
      answers: 1,
      versions: 1,
    });
    expect(await agree([Promise.resolve(base), Promise.resolve(other)], 2)).toMatchObject({
      agreed: false,
      answers: 2,
      versions: 2,
    });
    expect(await agree([], 1)).toMatchObject({ agreed: false, answers: 0 });
  });
});
