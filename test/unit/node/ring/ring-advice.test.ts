import { describe, expect, it } from 'vitest';
import { adviceOnRing, isUnfinished, setRingMetrics } from '../../../../src/node/ring/ring-advice.ts';
import type { RingReport, RingStanding } from '../../../../src/node/ring/ring-membership.ts';
import { Metrics } from '../../../../src/observe/metrics.ts';

const report = (standing: RingStanding, more: Partial<RingReport> = {}): RingReport => ({
  standing,
  members: 5,
  boundary: 40,
  records: 3,
  bytes: 300,
  ...more,
});

describe('the ring in status and /readyz', () => {
  it.each([
    ['serving', false],
    ['no-member', false],
    ['joining', true],
    ['behind', true],
    ['draining', true],
    ['stopped', true],
  ] as const)('%s: not ready is %s', (standing, unfinished) => {
    expect(isUnfinished(report(standing))).toBe(unfinished);
    expect(adviceOnRing(report(standing)).length).toBe(standing === 'serving' ? 0 : 1);
  });

  it('says nothing where there is no ring', () => {
    expect(isUnfinished(undefined)).toBe(false);
    expect(adviceOnRing(undefined)).toEqual([]);
  });

  it('says when a draining node may leave, and who differs', () => {
    expect(adviceOnRing(report('draining', { handedOver: true })).join()).toContain('may leave the chain');
    expect(adviceOnRing(report('draining', { handedOver: false })).join()).toContain('do not take it off');
    expect(adviceOnRing(report('serving', { differing: ['5F'] })).join()).toContain('5F');
  });

  it('is in the metrics', async () => {
    const metrics = new Metrics();
    setRingMetrics(metrics, report('serving', { differing: ['5F'] }));
    const text = await metrics.text();
    expect(text).toContain('latchkey_ring_standing{state="serving"} 1');
    expect(text).toContain('latchkey_ring_boundary 40');
    expect(text).toContain('latchkey_ring_differing_members 1');
  });
});
