import { beforeAll, describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { AttestedPeer, attestPeer } from '../../../src/channel/attested-peer.ts';
import { acceptChannel, isRequestOf, type OwnEnd, openChannel } from '../../../src/channel/handshake.ts';
import { ReplayWindow, WINDOW_MESSAGES } from '../../../src/channel/replay-window.ts';
import { Session } from '../../../src/channel/session.ts';
import { attestationReportData } from '../../../src/protocol/report-data.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { attestedBy, channelEnd } from '../../support/channel-ends.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { codeOf } from '../../support/thrown.ts';

const world = keyServerWorld();
let alice: OwnEnd;
let bob: OwnEnd;
let carol: OwnEnd;

beforeAll(async () => {
  [alice, bob, carol] = [await channelEnd(world, 1), await channelEnd(world, 2), await channelEnd(world, 3)];
});

/** A session between two ends, as both see it. */
function connect(from = alice, to = bob): readonly [Session, Session] {
  const opening = openChannel(from, to.peer);
  const { answer, session } = acceptChannel(to, from.peer, opening.message);
  return [opening.complete(answer), session];
}
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe('a peer', () => {
  it('is proved by a genuine quote over its account, registered key, instance and block only', async () => {
    const attested = attestedBy(1);
    const verified = await world.evidenceVerifier.verify(
      parseQuote(world.quote({ reportData: attestationReportData(attested) })),
    );
    const others = [
      { ...attested, server: attestedBy(2).server },
      { ...attested, x25519PublicKey: attestedBy(2).x25519PublicKey },
      { ...attested, instanceId: attestedBy(2).instanceId },
      { ...attested, finalized: { ...attested.finalized, number: 8 } },
    ];
    for (const other of others)
      expect(codeOf(() => attestPeer(other, verified))).toBe('CHANNEL_PEER_UNPROVEN');
    expect(AttestedPeer.isProof(attestPeer(attested, verified))).toBe(true);
    for (const no of [{ ...attestPeer(attested, verified) }, null, undefined, 'AttestedPeer'])
      expect(AttestedPeer.isProof(no)).toBe(false);
    expect(() => new AttestedPeer(Symbol('AttestedPeer') as never, attested)).toThrow(TypeError);
  });
});

describe('a channel', () => {
  it('carries requests and answers both ways', () => {
    const [a, b] = connect();
    expect(toHex(a.id)).toBe(toHex(b.id));
    const request = a.sealRequest(utf8('ping'));
    const opened = b.openRequest(request.message);
    expect([text(opened.content), opened.counter]).toEqual(['ping', request.counter]);
    expect(text(a.openAnswer(request.counter, b.sealAnswer(opened.counter, utf8('pong'))))).toBe('pong');
    expect(text(a.openRequest(b.sealRequest(utf8('and you?')).message).content)).toBe('and you?');
    expect([a.peer, b.peer]).toEqual([bob.peer, alice.peer]);
  });

  it('is another one each time', () => {
    const [[a], [b]] = [connect(), connect()];
    expect(toHex(a.id)).not.toBe(toHex(b.id));
  });

  it('is not made by another key, for another node, or with another instance of either', async () => {
    const [alice2, bob2] = [await channelEnd(world, 1, 11), await channelEnd(world, 2, 12)];
    const { message } = openChannel(alice, bob.peer);
    const accept = (own: OwnEnd, peer: AttestedPeer, given = message) =>
      codeOf(() => acceptChannel(own, peer, given));
    expect(accept(bob, alice.peer)).toBe('none');
    expect(accept(bob, carol.peer)).toBe('CHANNEL_HANDSHAKE_INVALID');
    expect(accept(carol, alice.peer)).toBe('CHANNEL_HANDSHAKE_INVALID');
    expect(accept(bob, alice2.peer)).toBe('CHANNEL_HANDSHAKE_INVALID');
    expect(accept(bob2, alice.peer)).toBe('CHANNEL_HANDSHAKE_INVALID');
    const forged = openChannel({ ...alice, keyPair: carol.keyPair }, bob.peer).message;
    expect(accept(bob, alice.peer, forged)).toBe('CHANNEL_HANDSHAKE_INVALID');
    expect(accept(bob, alice.peer, { ...message, enc: message.enc.subarray(1) })).toBe(
      'CHANNEL_HANDSHAKE_INVALID',
    );
    const cut = { ...message, ciphertext: message.ciphertext.subarray(1) };
    expect(accept(bob, alice.peer, cut)).toBe('CHANNEL_HANDSHAKE_INVALID');
  });

  it('is asked for by the owner of the registered key, for this node and instance only', async () => {
    const bob2 = await channelEnd(world, 2, 12);
    const { message } = openChannel(alice, bob.peer);
    expect(isRequestOf(bob, attestedBy(1), message)).toBe(true);
    expect(isRequestOf(bob, attestedBy(3), message)).toBe(false);
    expect(isRequestOf(bob, attestedBy(1, 11), message)).toBe(false);
    expect(isRequestOf(bob2, attestedBy(1), message)).toBe(false);
    expect(isRequestOf(carol, attestedBy(1), message)).toBe(false);
    // A fault of this node is no judgement about the message.
    const faulty = { ...bob, keyPair: undefined as never };
    expect(() => isRequestOf(faulty, attestedBy(1), message)).toThrow(TypeError);
  });

  it('takes no answer to another request, of another node, and no request as an answer', () => {
    const [first, second] = [openChannel(alice, bob.peer), openChannel(alice, bob.peer)];
    const { answer } = acceptChannel(bob, alice.peer, second.message);
    expect(codeOf(() => first.complete(answer))).toBe('CHANNEL_HANDSHAKE_INVALID');
    expect(codeOf(() => first.complete(first.message))).toBe('CHANNEL_HANDSHAKE_INVALID');
    const toCarol = acceptChannel(carol, alice.peer, openChannel(alice, carol.peer).message);
    expect(codeOf(() => first.complete(toCarol.answer))).toBe('CHANNEL_HANDSHAKE_INVALID');
    // Reflected: what Alice opened to Bob is no opening of Bob to Alice.
    expect(codeOf(() => acceptChannel(alice, bob.peer, first.message))).toBe('CHANNEL_HANDSHAKE_INVALID');
  });

  it('that a repeated opening makes says nothing that the first one would take', () => {
    const opening = openChannel(alice, bob.peer);
    const once = acceptChannel(bob, alice.peer, opening.message);
    const replayed = acceptChannel(bob, alice.peer, opening.message);
    const a = opening.complete(once.answer);
    const { message } = a.sealRequest(utf8('ping'));
    expect(codeOf(() => replayed.session.openRequest(message))).toBe('CHANNEL_MESSAGE_INVALID');
    expect(text(once.session.openRequest(message).content)).toBe('ping');
  });

  it('is refused to a key of small order', () => {
    const peer = Object.create(bob.peer, {
      x25519PublicKey: { value: X25519PublicKey.of(new Uint8Array(32)) },
      digest: { value: bob.peer.digest },
    }) as AttestedPeer;
    expect(codeOf(() => openChannel(alice, peer))).toBe('HPKE_PUBLIC_KEY_INVALID');
  });
});

describe('a message of a channel (X10)', () => {
  it('is taken once, in any order within the window', () => {
    const [a, b] = connect();
    const messages = ['0', '1', '2'].map((content) => a.sealRequest(utf8(content)).message);
    expect(messages.reverse().map((message) => text(b.openRequest(message).content))).toEqual([
      '2',
      '1',
      '0',
    ]);
    for (const message of messages)
      expect(codeOf(() => b.openRequest(message))).toBe('CHANNEL_MESSAGE_REPLAYED');
  });

  it('with any bit changed, or truncated, is refused and uses up nothing', () => {
    const [a, b] = connect();
    const { message } = a.sealRequest(utf8('ping'));
    for (let at = 0; at < message.length; at++) {
      const changed = Uint8Array.from(message, (byte, index) => (index === at ? byte ^ 1 : byte));
      expect(codeOf(() => b.openRequest(changed))).toBe('CHANNEL_MESSAGE_INVALID');
      expect(codeOf(() => b.openRequest(message.subarray(0, at)))).toBe('CHANNEL_MESSAGE_INVALID');
    }
    expect(codeOf(() => b.openRequest(concatBytes(message, Uint8Array.of(0))))).toBe(
      'CHANNEL_MESSAGE_INVALID',
    );
    expect(text(b.openRequest(message).content)).toBe('ping');
  });

  it('with a counter that no session has is refused', () => {
    const [a, b] = connect();
    const { message } = a.sealRequest(utf8('ping'));
    const forged = Uint8Array.from(message, (byte, at) => (at >= 17 && at < 25 ? 0xff : byte));
    expect(codeOf(() => b.openRequest(forged))).toBe('CHANNEL_MESSAGE_INVALID');
  });

  it('of another session, reflected, or of the other kind is refused', () => {
    const [[a, b], [, other]] = [connect(), connect()];
    const request = a.sealRequest(utf8('ping'));
    expect(codeOf(() => other.openRequest(request.message))).toBe('CHANNEL_MESSAGE_INVALID');
    expect(codeOf(() => a.openRequest(request.message))).toBe('CHANNEL_MESSAGE_INVALID');
    expect(codeOf(() => b.openAnswer(0, request.message))).toBe('CHANNEL_MESSAGE_INVALID');
    const answer = b.sealAnswer(request.counter, utf8('pong'));
    expect(codeOf(() => a.openRequest(answer))).toBe('CHANNEL_MESSAGE_INVALID');
  });

  it('that answers one request is no answer to another one', () => {
    const [a, b] = connect();
    const [one, two] = [a.sealRequest(utf8('one')), a.sealRequest(utf8('two'))];
    const answer = b.sealAnswer(b.openRequest(one.message).counter, utf8('1'));
    expect(codeOf(() => a.openAnswer(two.counter, answer))).toBe('CHANNEL_MESSAGE_INVALID');
    expect(text(a.openAnswer(one.counter, answer))).toBe('1');
    expect(codeOf(() => a.openAnswer(one.counter, answer))).toBe('CHANNEL_MESSAGE_REPLAYED');
  });

  it('is not sealed when the counter is used up, nor after the session is over', () => {
    const session = new Session({
      role: 'initiator',
      peer: bob.peer,
      id: new Uint8Array(16),
      fromInitiator: new Uint8Array(32),
      fromResponder: new Uint8Array(32),
      maxMessages: 2,
    });
    session.sealRequest(utf8('1'));
    session.sealAnswer(0, utf8('2'));
    expect(codeOf(() => session.sealRequest(utf8('3')))).toBe('CHANNEL_EXHAUSTED');
    const [open] = connect();
    open.wipe();
    expect(() => open.sealRequest(utf8('4'))).toThrow(TypeError);
  });
});

describe('the window of counters', () => {
  it('forgets what is far behind, and refuses it', () => {
    const window = new ReplayWindow();
    window.add(5);
    expect([4, 5, 6].map((counter) => window.isUsed(counter))).toEqual([false, true, false]);
    window.add(WINDOW_MESSAGES + 4);
    expect([4, 5, 6].map((counter) => window.isUsed(counter))).toEqual([true, true, false]);
    window.add(1_000);
    expect(window.isUsed(4)).toBe(true);
    window.add(10 * WINDOW_MESSAGES);
    expect(window.isUsed(9 * WINDOW_MESSAGES)).toBe(true);
    expect(window.isUsed(9 * WINDOW_MESSAGES + 1)).toBe(false);
  });
});
