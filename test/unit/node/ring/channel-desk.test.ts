import { describe, expect, it } from 'vitest';
import { openChannel } from '../../../../src/channel/handshake.ts';
import { LatchkeyError } from '../../../../src/errors/latchkey-error.ts';
import { ChannelDesk } from '../../../../src/node/ring/channel-desk.ts';
import type { AttestedEnd, OwnEnds } from '../../../../src/node/ring/own-ends.ts';
import type { PeerProofs } from '../../../../src/node/ring/peer-proofs.ts';
import { openRequestToWire } from '../../../../src/protocol/channel-opening.ts';
import { attestationReportData } from '../../../../src/protocol/report-data.ts';
import { attestedBy, channelEnd } from '../../../support/channel-ends.ts';
import { keyServerWorld } from '../../../support/key-server-fixture.ts';

const world = keyServerWorld();

describe('a request for a channel that a stranger repeats', () => {
  it('is refused, takes no token of its sender, and pushes out no session', async () => {
    const responder = await channelEnd(world, 9);
    const initiator = await channelEnd(world, 1);
    const attested = attestedBy(1);
    const quote = world.quote({ reportData: attestationReportData(attested) });
    // What the desk asks of them, and nothing else.
    const desk = new ChannelDesk({
      ends: { of: async () => responder as AttestedEnd } as Partial<OwnEnds> as OwnEnds,
      proofs: {
        requireRegisteredKey: () => undefined,
        prove: async () => initiator.peer,
      } as unknown as PeerProofs,
      service: async () => new Uint8Array(0),
      now: () => 0,
      maxAgeMs: 1_000,
    });
    const open = async (body: unknown) =>
      desk.open(body, '192.0.2.1').then(
        () => 'none',
        (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)),
      );
    const bodyOf = () =>
      openRequestToWire({
        attestation: { ...attested, quote },
        responder: responder.peer.digest,
        message: openChannel(initiator, responder.peer).message,
      });
    const first = bodyOf();
    expect(await open(first)).toBe('none');
    for (let turn = 0; turn < 20; turn++) expect(await open(first)).toBe('CHANNEL_MESSAGE_REPLAYED');
    expect(desk.size).toBe(1);
    // Nine of ten tokens are left.
    for (let turn = 0; turn < 9; turn++) expect(await open(bodyOf())).toBe('none');
    expect(await open(bodyOf())).toBe('RATE_LIMITED');
  });
});
