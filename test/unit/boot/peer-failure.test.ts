import { describe, expect, it } from 'vitest';
import { explain, type NodeState, slotToJson } from '../../../src/boot/node/node-state.ts';
import { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { describeFailure, failureOf, PeerError } from '../../../src/boot/peer/peer-failure.ts';
import { AccountId, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { EvidenceError } from '../../../src/errors/latchkey-error.ts';
import { systemClock } from '../../../src/time/clock.ts';

const server = AccountId.of(new Uint8Array(32).fill(5));
const peer = {
  account: server,
  x25519PublicKey: X25519PublicKey.of(new Uint8Array(32).fill(9)),
  endpoint: '127.0.0.1:1',
};
const fake = '\u001b[2J\u202e\n  - all is well';

/** What a peer may answer to put its words before a person. */
const answers: Readonly<Record<string, { status: number; body: unknown }>> = {
  'the detail of a problem': { status: 403, body: { code: 'NO', detail: fake } },
  'the code of a problem': { status: 403, body: { code: fake, detail: '' } },
  'the name of a field': {
    status: 200,
    body: { [fake]: 1, server: '', nonce: '', expiresAtMs: 1, instanceId: '' },
  },
  'another account': { status: 200, body: { server: fake, nonce: '', expiresAtMs: 1, instanceId: '' } },
};

describe('the message for a person about a failed peer', () => {
  it.each(Object.entries(answers))('has no forged line and moves no cursor: %s', async (_where, answer) => {
    const client = new PeerClient({
      transport: { send: async () => answer },
      clock: systemClock,
      random: systemRandom,
    });
    const error: unknown = await client
      .challenge(peer, server, peer.x25519PublicKey)
      .catch((cause: unknown) => cause);
    const slots = [{ server, endpoint: peer.endpoint, standing: failureOf(error) }];
    const state: NodeState = {
      name: 'locked',
      cause: 'keys-missing',
      have: 0,
      need: 1,
      n: 1,
      reason: 'too few',
      slots,
    };
    for (const slot of slots) expect(String(slotToJson(slot)['standing'])).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    // A headline, a line for the one server, and what may be hoped.
    expect(explain(state).split('\n')).toHaveLength(3);
  });
});

describe('the reason why a peer was of no use', () => {
  it('is the one that is carried, a bad answer, or that nothing was reached', () => {
    const carried = { kind: 'lied', detail: 'about its key' } as const;
    expect(failureOf(new PeerError(carried))).toEqual(carried);
    expect(failureOf(new EvidenceError('FIELD_INVALID', 'no number'))).toEqual({
      kind: 'garbage',
      detail: 'FIELD_INVALID: no number',
    });
    expect(failureOf(new Error('reset'))).toEqual({ kind: 'unreachable', detail: 'reset' });
    expect(failureOf('reset')).toEqual({ kind: 'unreachable', detail: 'reset' });
  });

  it('names a code where there is one', () => {
    const detail = 'why';
    expect(describeFailure({ kind: 'refused', code: 'NO', detail })).toBe('refused: NO (why)');
    expect(describeFailure({ kind: 'untrusted', code: 'NO', detail })).toBe('untrusted: NO (why)');
    expect(describeFailure({ kind: 'forgot', detail })).toBe('server forgot (why)');
    expect(describeFailure({ kind: 'departed', detail })).toBe('departed (why)');
  });
});
