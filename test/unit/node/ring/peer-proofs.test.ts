import { beforeEach, describe, expect, it } from 'vitest';
import type { ServerVetter } from '../../../../src/boot/obtain/vet-server.ts';
import { PeerError } from '../../../../src/boot/peer/peer-failure.ts';
import type { ServerRecord } from '../../../../src/chain/chain-view.ts';
import { PeerProofs } from '../../../../src/node/ring/peer-proofs.ts';
import { attestationReportData } from '../../../../src/protocol/report-data.ts';
import { parseQuote } from '../../../../src/tdx/quote.ts';
import { serverRecord } from '../../../support/chain-fixtures.ts';
import { attestedBy } from '../../../support/channel-ends.ts';
import { keyServerWorld } from '../../../support/key-server-fixture.ts';
import { memoryChain } from '../../../support/memory-chain.ts';

const world = keyServerWorld();
const attested = attestedBy(1);
const attestation = {
  ...attested,
  quote: world.quote({ reportData: attestationReportData(attested), platform: 1 }),
};
const record = {
  ...serverRecord(1),
  account: attested.server,
  x25519PublicKey: attested.x25519PublicKey,
};

let registeredOn: string;
let judged: number;
let nowMs: number;
let proofs: PeerProofs;
beforeEach(() => {
  registeredOn = 'platform 1';
  judged = 0;
  nowMs = 0;
  // What the proofs ask of it, and nothing else.
  const vetter = {
    platformOf: () => registeredOn,
    platformRefusal: () => undefined,
    judgeAttestation: async (_record: ServerRecord) => {
      judged += 1;
      // The machine of the attestation is platform 1, whatever is registered.
      if (registeredOn !== 'platform 1')
        throw new PeerError({ kind: 'refused', code: 'PLATFORM_REFUSED', detail: 'another platform' });
      return await world.evidenceVerifier.verify(parseQuote(attestation.quote));
    },
  } satisfies Pick<ServerVetter, 'judgeAttestation' | 'platformRefusal' | 'platformOf'>;
  proofs = new PeerProofs({
    chain: memoryChain({ servers: [] }),
    watch: { recordOf: () => record },
    vetter,
    now: () => nowMs,
  });
});

describe('the proof of a peer', () => {
  it('is made once a minute for one attestation', async () => {
    for (let turn = 0; turn < 3; turn++) await proofs.prove(attestation);
    expect(judged).toBe(1);
    nowMs += 60_000;
    await proofs.prove(attestation);
    expect(judged).toBe(2);
  });

  it('is made again when its registration names another platform: any machine there can make that quote', async () => {
    await proofs.prove(attestation);
    registeredOn = 'platform 2';
    await expect(proofs.prove(attestation)).rejects.toMatchObject({ failure: { code: 'PLATFORM_REFUSED' } });
  });
});
