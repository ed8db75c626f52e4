import type { AccountId, SlotId } from '../bytes/fixed-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { provesRecovery } from '../protocol/recovery-proof.ts';
import type { BoundRequest } from './handshake.ts';
import type { JudgedRequest } from './judge.ts';
import type { SlotKey } from './slot-key.ts';
import type { Vault } from './vault.ts';

declare const granted: unique symbol;

/** A key that may be sealed to the requester. Made only by {@link grantKey}. */
export interface Grant {
  readonly bound: BoundRequest;
  readonly key: SlotKey;
  readonly created: boolean;
  /** Whether the recovery token goes with it: at creation, and again to whoever proves to have it. */
  readonly giveToken: boolean;
  readonly [granted]: true;
}

/**
 * The vault's part of a request: gets or makes the key, by intent.
 * @throws EvidenceError KEY_UNKNOWN, KEY_EXISTS, RECOVERY_PROOF_REQUIRED, RECOVERY_PROOF_WRONG; RefusalError
 *   PLATFORM_REFUSED, PLATFORM_LIMIT; ProblemError VAULT_FULL, SERVER_DRAINING.
 */
export function grantKey({ bound, provenance }: JudgedRequest, vault: Vault, nowMs: number): Grant {
  const { request, slotId } = bound;
  // The brand says that the judge let this request through and the vault's own rules hold.
  const grant = (key: SlotKey, created: boolean): Grant =>
    ({ bound, key, created, giveToken: request.intent === 'create' }) as Grant;
  switch (request.intent) {
    case 'get-or-create': {
      const { key, created } = vault.getOrCreatePlain(request.account, provenance, nowMs);
      return grant(key, created);
    }
    case 'create': {
      const owns = (key: SlotKey) => provesOwnership(bound, key);
      const { key, created } = vault.create(request.account, slotId, provenance, owns, nowMs);
      return grant(key, created);
    }
    case 'recover': {
      const key = findRecoverable(vault, request.account, slotId, nowMs);
      requireRecoveryProof(bound, key, provenance.platform);
      key.prolong(nowMs);
      return grant(key, false);
    }
  }
}

/** The key that `recover` asks for. @throws EvidenceError KEY_UNKNOWN. */
export function findRecoverable(vault: Vault, account: AccountId, slotId: SlotId, nowMs: number): SlotKey {
  const key = vault.find(account, slotId, nowMs);
  if (key !== undefined) return key;
  throw new EvidenceError('KEY_UNKNOWN', 'this server holds no key for this account and slot id', {
    hint: 'it may have restarted; ask the other servers of the keyslot file',
  });
}

function provesOwnership({ request, reportData }: BoundRequest, key: SlotKey): boolean {
  return (
    key.recoveryToken !== undefined &&
    request.recoveryProof !== undefined &&
    provesRecovery(request.recoveryProof, key.recoveryToken, reportData)
  );
}

function requireRecoveryProof(bound: BoundRequest, key: SlotKey, platform: Uint8Array): void {
  if (key.recoveryToken === undefined) {
    key.requirePlatform(platform);
    return;
  }
  if (bound.request.recoveryProof === undefined) {
    throw new EvidenceError('RECOVERY_PROOF_REQUIRED', 'this key was created under a slot id', {
      field: 'recoveryProof',
      expected: 'HMAC-SHA-256(recovery token, report data)',
      observed: 'none',
    });
  }
  if (!provesOwnership(bound, key)) {
    throw new EvidenceError('RECOVERY_PROOF_WRONG', 'the recovery proof does not match', {
      field: 'recoveryProof',
      expected: 'HMAC-SHA-256(recovery token, report data)',
      observed: 'another value',
    });
  }
}
