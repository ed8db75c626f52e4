import { expect, it } from 'vitest';
import { PlatformCollateral } from '../../../src/collateral/platform-collateral.ts';

it('a node that holds no collateral asks again within minutes after a long outage of the service', () => {
  const entry = new PlatformCollateral();
  const backAtMs = 1_000_000_000 + 3 * 3_600_000;
  let attempts = 0;
  let nowMs = 1_000_000_000;
  for (; nowMs < backAtMs || !entry.mayTry(nowMs); nowMs += 2_000) {
    if (!entry.mayTry(nowMs)) continue;
    attempts++;
    entry.fail('down', nowMs, 1);
  }
  expect(nowMs - backAtMs).toBeLessThan(120_000);
  // The pauses still grow to a minute: one attempt every two seconds would be 5,400.
  expect(attempts).toBeLessThan(300);
});
