import { describe, expect, it } from 'vitest';
import { explain, type NodeState, type SlotReport, stateToJson } from '../../../src/boot/node/node-state.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';

const account = AccountId.of(new Uint8Array(32).fill(7));
const slot = (standing: SlotReport['standing']): SlotReport => ({
  server: AccountId.of(new Uint8Array(32).fill(5)),
  endpoint: undefined,
  standing,
});
const lockedServer = slot({ kind: 'refused', code: 'NODE_LOCKED', detail: 'the node is locked' });
const silent = slot({ kind: 'unreachable', detail: 'no answer' });
const locked = (slots: readonly SlotReport[]): NodeState => ({
  name: 'locked',
  cause: 'keys-missing',
  account,
  have: 0,
  need: 3,
  n: 5,
  reason: 'too few key servers gave their slot',
  slots,
});

describe('a locked node', () => {
  it('whose servers are locked themselves says that it may be a total blackout', () => {
    const blackout = explain(locked([lockedServer, lockedServer, lockedServer, silent, silent]));
    expect(blackout).toContain('3 of these servers are locked themselves');
    expect(blackout).toContain('docs/runbooks.md, Total blackout');
    // The other three are enough: bring them back.
    expect(explain(locked([lockedServer, lockedServer, silent, silent, silent]))).not.toContain('blackout');
    expect(explain(locked([silent, silent, silent, silent, silent]))).not.toContain('blackout');
  });

  it('names the account of its keyslot file, and not as its own', () => {
    const json = stateToJson(locked([]));
    expect(json).toMatchObject({ state: 'locked', keyslotAccount: encodeSs58(account) });
    expect(json).not.toHaveProperty('account');
    expect(json).not.toHaveProperty('accountId');
  });
});
