import { describe, expect, it } from 'vitest';
import { requireRingTrust } from '../../../../src/node/ring/ring-trust.ts';
import { TrustRoot } from '../../../../src/tdx/verify-quote.ts';
import { parseTrustSection, type TrustSection } from '../../../../src/trust/trust-section.ts';
import { thrownBy } from '../../../support/thrown.ts';

const ring = { firstBlock: 7 };
const checkpoint = {
  blockNumber: 1,
  blockHash: `0x${'11'.repeat(32)}`,
  authoritySetId: 0,
  authorities: [`0x${'22'.repeat(32)}`],
};
const genesisHash = `0x${'33'.repeat(32)}`;
const section = (chain: object, more: object = {}): TrustSection =>
  parseTrustSection({ chain: { genesisHash, ...chain }, ring, ...more });
const endorsed = (parsed: TrustSection): TrustSection => ({
  ...parsed,
  platforms: { recover: 'bound', servers: 'endorsed', clients: 'any' },
});
const refusedField = (trust: TrustSection, root = TrustRoot.intel): unknown =>
  Reflect.get(Object(thrownBy(() => requireRingTrust({ trust }, root))), 'field');

describe('a ring starts only where members are vetted', () => {
  it('not without a checkpoint, and not with servers that nobody endorses', () => {
    expect(refusedField(endorsed(section({})))).toBe('trust.chain.checkpoint');
    expect(refusedField(section({ checkpoint }))).toBe('trust.platforms.servers');
    expect(refusedField(endorsed(section({ checkpoint })))).toBeUndefined();
  });

  it('without trust.ring nothing is asked, and its hash is as before', () => {
    const { ring: _, ...none } = section({});
    expect(refusedField(none)).toBeUndefined();
    expect(section({ checkpoint }).ring).toEqual({ firstBlock: 7, everyBlocks: 10, replicas: 4 });
    expect('ring' in parseTrustSection({ chain: { genesisHash } })).toBe(false);
  });
});
