import { expect, it } from 'vitest';
import type { PlatformKind } from '../../../src/collateral/platform-kind.ts';
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
