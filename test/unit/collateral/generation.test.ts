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

  it('refuses a set with an older document', () => {
    const newest = new NewestSeen();
    newest.remember(facts);
    expect(codeOf(() => newest.requireNotOlder(dated(0)))).toBe('none');
    expect(codeOf(() => newest.requireNotOlder(dated(-1)))).toBe('COLLATERAL_ROLLED_BACK');
  });

  it('keeps the highest evaluation number of each document separately', () => {
    const numbered = (tcbInfo: number, qeIdentity: number) => ({
      ...facts,
      tcbEvaluationDataNumber: Math.min(tcbInfo, qeIdentity),
      evaluationNumbers: { tcbInfo, qeIdentity },
    });
    const newest = new NewestSeen();
    newest.remember(numbered(20, 19));
    for (const [tcbInfo, qeIdentity, code] of [
      [20, 19, 'none'],
      [20, 20, 'none'],
      [21, 19, 'none'],
      // The lower of the two is the same in both sets.
      [19, 19, 'COLLATERAL_ROLLED_BACK'],
      [21, 18, 'COLLATERAL_ROLLED_BACK'],
    ] as const) {
      expect(
        codeOf(() => newest.requireNotOlder(numbered(tcbInfo, qeIdentity))),
        `${tcbInfo} ${qeIdentity}`,
      ).toBe(code);
    }
  });

  it('does not go back when a set is remembered after a newer one', () => {
    const newest = new NewestSeen();
    newest.requireNotOlder(dated(-1));
    newest.remember(dated(1));
    newest.remember(dated(-1));
    expect(codeOf(() => newest.requireNotOlder(dated(0)))).toBe('COLLATERAL_ROLLED_BACK');
    expect(codeOf(() => newest.requireNotOlder(dated(1)))).toBe('none');
  });
});
