import { describe, expect, it } from 'vitest';
import { NewestSeen } from '../../../src/collateral/generation.ts';
import { verifyInWorld } from '../../support/tdx-world.ts';
import { codeOf } from '../../support/thrown.ts';

describe('the newest collateral seen', () => {
  const { collateral: facts } = verifyInWorld();
  const dated = (change: number) => ({
    ...facts,
    issuedAtMs: { ...facts.issuedAtMs, qeIdentity: facts.issuedAtMs.qeIdentity + change },
  });

  it('refuses what is older in one document', () => {
    const newest = new NewestSeen();
    newest.remember(facts);
    expect(codeOf(() => newest.requireNotOlder(dated(0)))).toBe('none');
    expect(codeOf(() => newest.requireNotOlder(dated(-1)))).toBe('COLLATERAL_ROLLED_BACK');
  });

  it('does not go back when a set that was checked earlier is remembered later', () => {
    const newest = new NewestSeen();
    newest.requireNotOlder(dated(-1));
    newest.remember(dated(1));
    newest.remember(dated(-1));
    expect(codeOf(() => newest.requireNotOlder(dated(0)))).toBe('COLLATERAL_ROLLED_BACK');
    expect(codeOf(() => newest.requireNotOlder(dated(1)))).toBe('none');
  });
});
