import { expect, it, vi } from 'vitest';
import type { PlatformKind } from '../../../src/collateral/platform-kind.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { keyServerWorld, memoryCollateral } from '../../support/key-server-fixture.ts';
import { ProtocolClient } from '../../support/protocol-client.ts';

it('a cached certificate chain does not keep the memory of its quote alive', async () => {
  const asked: PlatformKind[] = [];
  const { pki, clock } = keyServerWorld();
  const collateral = memoryCollateral(pki, clock);
  const world = keyServerWorld({
    collateral: {
      ...collateral,
      collateralFor: (platform) => {
        asked.push(platform);
        return collateral.collateralFor(platform);
      },
    },
  });
  const client = new ProtocolClient(world);
  expect((await client.submit(await client.prepare())).status).toBe(200);
  expect(asked.map(({ fmspc }) => fmspc.buffer.byteLength)).toEqual([6]);
});

/** A quote of a development machine, and the same one with another signature. */
function quotes(world: ReturnType<typeof keyServerWorld>) {
  const genuine = world.quote({ reportData: new Uint8Array(64) });
  const forged = genuine.slice();
  // The signature follows header, body and the length of what is signed.
  forged[48 + 584 + 4] = (genuine[48 + 584 + 4] ?? 0) ^ 1;
  return { genuine: parseQuote(genuine), forged: parseQuote(forged) };
}

it('a forged quote causes no request for collateral; a family that is known costs one check of its signatures', async () => {
  const { pki, clock } = keyServerWorld();
  const collateral = memoryCollateral(pki, clock);
  const collateralFor = vi.fn(collateral.collateralFor);
  const world = keyServerWorld({ clock, collateral: { ...collateral, collateralFor } });
  const checks = vi.spyOn(world.verifier, 'verifyChainOnly');
  const { genuine, forged } = quotes(world);
  const refusal = expect.objectContaining({ code: 'QUOTE_SIGNATURE_INVALID' });
  await expect(world.evidenceVerifier.verify(forged)).rejects.toEqual(refusal);
  expect(collateralFor).not.toHaveBeenCalled();
  for (let n = 0; n < 3; n++) await world.evidenceVerifier.verify(genuine);
  await expect(world.evidenceVerifier.verify(forged)).rejects.toEqual(refusal);
  expect(checks).toHaveBeenCalledTimes(2);
});

it('collateral that has expired counts within its grace only', async () => {
  const { pki, clock } = keyServerWorld();
  const fresh = memoryCollateral(pki, clock);
  const documents = pki.collateral({ nowMs: clock.nowMs() });
  const verified = (state: 'fresh' | 'grace', graceMs: number) => {
    const collateralFor = async () => ({ documents, state, validUntilMs: 0 });
    const world = keyServerWorld({ clock, collateral: { ...fresh, graceMs, collateralFor } });
    return world.evidenceVerifier.verify(quotes(world).genuine);
  };
  const weekMs = 7 * 86_400_000;
  await expect(verified('fresh', weekMs)).resolves.toBeDefined();
  await clock.advance(32 * 86_400_000);
  await expect(verified('grace', weekMs)).resolves.toBeDefined();
  const refusal = expect.objectContaining({ code: expect.stringMatching(/_EXPIRED$/) });
  await expect(verified('fresh', weekMs)).rejects.toEqual(refusal);
  await expect(verified('grace', 60_000)).rejects.toEqual(refusal);
});
