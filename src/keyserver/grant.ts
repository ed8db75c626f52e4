import { EvidenceError } from '../errors/latchkey-error.ts';
import type { LineageState } from '../protocol/lineage-state.ts';
import type { BoundRequest } from './handshake.ts';
import type { JudgedRequest } from './judge.ts';
import { requireOwnership } from './ownership.ts';
import { type SlotKey, slotUnlinked } from './slot-key.ts';
import type { Vault } from './vault.ts';

const proofKey = Symbol('grantKey');

interface Granted {
  readonly key: SlotKey;
  readonly created: boolean;
  readonly lineage: LineageState | undefined;
}

/** Proof that a key may be sealed to the sender of a request. Made by {@link grantKey} only. */
export class Grant {
  readonly bound: BoundRequest;
  readonly created: boolean;
  /** Whether the recovery token goes with the key: at creation, and again when the request proves the token. */
  readonly givesToken: boolean;
  /** What this server knows of the lineage of the key; `undefined` for a key that is not linked. */
  readonly lineage: LineageState | undefined;
  readonly #key: SlotKey;

  constructor(key: typeof proofKey, bound: BoundRequest, granted: Granted) {
    if (key !== proofKey) throw new TypeError('a Grant is made by grantKey only');
    this.bound = bound;
    this.created = granted.created;
    this.givesToken = bound.request.intent === 'create';
    this.lineage = granted.lineage;
    this.#key = granted.key;
    Object.freeze(this);
  }

  get key(): SlotKey {
    return this.#key;
  }
}

/**
 * Gets or makes the key of a judged request, by its intent.
 * @throws EvidenceError KEY_UNKNOWN, KEY_EXISTS, RECOVERY_PROOF_REQUIRED, RECOVERY_PROOF_WRONG, SLOT_UNLINKED;
 *   RefusalError PLATFORM_REFUSED, PLATFORM_NOT_ENDORSED, PLATFORM_LIMIT; ProblemError CHAIN_UNAVAILABLE,
 *   VAULT_FULL, SERVER_DRAINING.
 */
export function grantKey(judged: JudgedRequest, vault: Vault, nowMs: number): Grant {
  const { key, created } = keyFor(judged, vault, nowMs);
  // Whatever the intent: "create" gives an existing key too, to a request that proves its token.
  if (!created) requirePlatform(judged, key);
  const lineage = vault.stateOf(key.lineage, nowMs);
  return new Grant(proofKey, judged.bound, { key, created, lineage });
}

function keyFor(judged: JudgedRequest, vault: Vault, nowMs: number): Pick<Granted, 'key' | 'created'> {
  switch (judged.bound.request.intent) {
    case 'get-or-create':
      return vault.getOrCreatePlain(judged, nowMs);
    case 'create':
      return vault.create(judged, nowMs);
    case 'recover':
      return { key: recover(judged, vault, nowMs), created: false };
  }
}

/** Checks the platform of a request that owns the key; by a move, the next mark binds the slots to it. */
function requirePlatform({ bound, provenance, platforms }: JudgedRequest, key: SlotKey): void {
  const { platform } = provenance;
  const { account } = bound.request;
  const verdict = platforms.judgeRecovery({ account, boundTo: key.boundTo, ppid: platform });
  if (verdict === 'move') key.lineage?.beginMove(platform);
  else key.lineage?.stay(platform);
}

function recover({ bound, provenance }: JudgedRequest, vault: Vault, nowMs: number): SlotKey {
  const key = vault.find(bound.request.account, bound.slotId, nowMs);
  if (key === undefined) {
    throw new EvidenceError('KEY_UNKNOWN', 'this server holds no key for this account and slot id', {
      hint: 'it may have restarted; ask the other servers of the keyslot file',
    });
  }
  requireOwnership(bound, key, provenance.platform);
  // Only now: whether a slot is linked concerns its owner alone.
  if (!key.isPlain && key.lineage === undefined) throw slotUnlinked();
  key.prolong(nowMs);
  vault.noteUse(key);
  return key;
}
