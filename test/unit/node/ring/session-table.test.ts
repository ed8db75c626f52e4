import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/bytes/hex.ts';
import { acceptChannel, isRequestOf, openChannel } from '../../../../src/channel/handshake.ts';
import type { Session } from '../../../../src/channel/session.ts';
import { SessionTable } from '../../../../src/node/ring/session-table.ts';
import { attestedBy, channelEnd } from '../../../support/channel-ends.ts';
import { keyServerWorld } from '../../../support/key-server-fixture.ts';

const world = keyServerWorld();
const MAX_AGE_MS = 1_000;

/** Sessions that a peer opens here, each another one. */
async function sessionsOf(byte: number, count: number): Promise<Session[]> {
  const responder = await channelEnd(world, 9);
  const initiator = await channelEnd(world, byte);
  return Array.from({ length: count }, () => {
    const { message } = openChannel(initiator, responder.peer);
    return acceptChannel(responder, initiator.peer, message).session;
  });
}

const isWiped = (session: Session): boolean => {
  try {
    session.sealRequest(new Uint8Array(1));
    return false;
  } catch {
    return true;
  }
};

describe('sessions that others opened', () => {
  it('end with their time, and are erased then', async () => {
    const table = new SessionTable(MAX_AGE_MS);
    const [session] = await sessionsOf(1, 1);
    if (session === undefined) throw new Error('no session');
    table.add(session, 0);
    expect(table.find(toHex(session.id), MAX_AGE_MS)).toBe(session);
    expect(table.find(toHex(session.id), MAX_AGE_MS + 1)).toBeUndefined();
    expect(isWiped(session)).toBe(true);
  });

  it('are few for one member, and those of others stay', async () => {
    const table = new SessionTable(MAX_AGE_MS);
    const [other] = await sessionsOf(2, 1);
    if (other === undefined) throw new Error('no session');
    table.add(other, 0);
    const many = await sessionsOf(1, 10);
    for (const session of many) table.add(session, 0);
    expect(table.size).toBe(5);
    expect(table.find(toHex(other.id), 0)).toBe(other);
    expect(many.map(isWiped)).toEqual([...Array(6).fill(true), ...Array(4).fill(false)]);
    table.wipe();
    expect(isWiped(other)).toBe(true);
  });
});

describe('a request for a channel', () => {
  it('is of the owner of the registered key, or it is refused before any quote is looked at', async () => {
    const responder = await channelEnd(world, 9);
    const initiator = await channelEnd(world, 1);
    const { message } = openChannel(initiator, responder.peer);
    expect(isRequestOf(responder, attestedBy(1), message)).toBe(true);
    expect(isRequestOf(responder, attestedBy(2), message)).toBe(false);
    // Another process of the same node did not make it.
    expect(isRequestOf(responder, attestedBy(1, 7), message)).toBe(false);
    expect(isRequestOf(await channelEnd(world, 9, 8), attestedBy(1), message)).toBe(false);
  });
});
