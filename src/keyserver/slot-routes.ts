import { equalBytes } from '../bytes/concat.ts';
import type { Mac } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { Incarnation, Reservation } from '../lineage/incarnation.ts';
import { lineageIdOf, openLineageKey } from '../lineage/lineage-key.ts';
import { mayChange } from '../lineage/rules.ts';
import type { SlotRoute } from '../protocol/labels.ts';
import { type MacRequest, responseMac } from '../protocol/mac.ts';
import {
  claimBytes,
  type Forgotten,
  forgottenBytes,
  type KeyStatus,
  keyStatusBytes,
  reserveBytes,
  serverStateBytes,
} from '../protocol/slot-messages.ts';
import type { PlatformRules } from '../trust/platform-rules.ts';
import type { LineageRecord } from './lineage-record.ts';
import { type MacRouteParts, type ProvedState, provesKey, requireFresh, serverState } from './mac-route.ts';
import type { SlotKey } from './slot-key.ts';

/** The answer of `forget` and its MAC. */
export interface ProvedForgotten {
  readonly forgotten: Forgotten;
  readonly mac: Mac;
}

/** The routes that a server key authenticates: `key-status`, `reserve`, `claim`, `forget`. */
export class SlotRoutes {
  readonly #parts: MacRouteParts;
  readonly #platforms: PlatformRules;

  constructor(parts: MacRouteParts, platforms: PlatformRules) {
    this.#parts = parts;
    this.#platforms = platforms;
  }

  /**
   * Links and confirms the slot, shows the incarnation, takes head and report, and answers with the state. Nothing of
   * that on a lineage that is closed or knows a newer incarnation.
   * @throws EvidenceError KEY_UNKNOWN, TIMESTAMP_STALE, FIELD_INVALID, LINEAGE_OTHER, SLOT_UNLINKED; RefusalError
   *   PLATFORM_LIMIT; ProblemError VAULT_FULL. Then nothing has changed.
   */
  keyStatus(request: MacRequest<KeyStatus>): ProvedState {
    const { content } = request;
    const key = this.#authenticate('key-status', request, keyStatusBytes(content));
    const lineage = this.#lineageOf(key, content.lineage);
    if (content.confirm && !key.isPlain && lineage === undefined) {
      throw new EvidenceError('SLOT_UNLINKED', 'this slot is not linked to a lineage', {
        field: 'lineage',
        hint: 'confirm the slot together with the lineage key',
      });
    }
    if (key.isPlain) this.#takeStatus(key, content);
    if (lineage !== undefined && mayChange(lineage.facts, content.incarnation)) {
      if (key.lineage === undefined) this.#parts.vault.link(key, lineage);
      lineage.show(content.incarnation);
      if (content.head !== undefined) lineage.deposit(content.incarnation, content.head);
      this.#takeStatus(key, content);
    }
    return this.#prove('key-status', key, request, lineage);
  }

  /** Reserves a number for a boot unless it is taken. */
  reserve(request: MacRequest<Reservation>): ProvedState {
    const key = this.#authenticate('reserve', request, reserveBytes(request.content));
    key.lineage?.reserve(request.content);
    return this.#prove('reserve', key, request);
  }

  /** Shows an incarnation unless a newer one is shown. */
  claim(request: MacRequest<Incarnation>): ProvedState {
    const key = this.#authenticate('claim', request, claimBytes(request.content));
    key.lineage?.show(request.content);
    return this.#prove('claim', key, request);
  }

  /** Erases the key, unless its lineage shows a newer incarnation, which needs it. */
  forget(request: MacRequest<Incarnation>): ProvedForgotten {
    const { vault, onForgotten } = this.#parts;
    const key = this.#authenticate('forget', request, claimBytes(request.content));
    const { account, lineage } = key;
    const erased = lineage === undefined || mayChange(lineage.facts, request.content);
    // The answer is proved by the key, and shows the lineage as it is without it.
    const macKey = new SecretBytes(key.key.reveal());
    if (erased) vault.forget(account, key.slotId);
    // An account with another key here must still be told when this server restarts.
    if (!vault.holdsKeyOf(account)) onForgotten(account);
    const forgotten = { ...serverState(this.#parts, account, lineage), erased };
    const mac = responseMac(macKey, 'forget', request.mac, forgottenBytes(forgotten));
    macKey.wipe();
    return { forgotten, mac };
  }

  #authenticate<Content>(route: SlotRoute, request: MacRequest<Content>, content: Uint8Array): SlotKey {
    const { identity, vault, now } = this.#parts;
    const { account, name, timestampMs } = request.envelope;
    const nowMs = now();
    const key = vault.find(account, name, nowMs);
    if (!provesKey(key, route, request, content, identity)) {
      throw new EvidenceError('KEY_UNKNOWN', 'this server holds no such key, or the MAC is wrong');
    }
    requireFresh(timestampMs, nowMs);
    vault.noteUse(key);
    return key;
  }

  /**
   * The lineage of a slot, or the one that a request wants to link it to; made if this server does not know it.
   * @throws EvidenceError FIELD_INVALID, LINEAGE_OTHER; RefusalError PLATFORM_LIMIT; ProblemError VAULT_FULL.
   */
  #lineageOf(slot: SlotKey, sealed: Uint8Array | undefined): LineageRecord | undefined {
    if (sealed === undefined) return slot.lineage;
    const { identity, vault } = this.#parts;
    const { account, slotId, provenance } = slot;
    const lineageKey = slot.isPlain
      ? undefined
      : openLineageKey(slot.key, { server: identity.account, account, slotId }, sealed);
    if (lineageKey === undefined) {
      throw new EvidenceError('FIELD_INVALID', 'lineage does not open under the key of this slot', {
        field: 'lineage',
        expected: 'a lineage key, sealed under the server key of the slot; none for a plain key',
        observed: 'other bytes',
      });
    }
    try {
      if (slot.lineage === undefined) {
        return vault.lineages.findOrMake(account, lineageKey, provenance.platform);
      }
      if (equalBytes(slot.lineage.id, lineageIdOf(lineageKey))) return slot.lineage;
    } finally {
      lineageKey.wipe();
    }
    throw new EvidenceError('LINEAGE_OTHER', 'this slot is linked to another lineage', { field: 'lineage' });
  }

  #takeStatus(key: SlotKey, { confirm, report }: KeyStatus): void {
    if (report !== undefined) key.setReport(report);
    if (!confirm || key.confirmed) return;
    this.#parts.vault.confirm(key);
    this.#parts.onServed(key.account);
  }

  #prove(
    route: SlotRoute,
    key: SlotKey,
    { mac }: Pick<MacRequest<unknown>, 'mac'>,
    lineage = key.lineage,
  ): ProvedState {
    const told = serverState(this.#parts, key.account, lineage);
    const platform = this.#platforms.bindingOf(key.boundTo);
    const state =
      platform === undefined
        ? told
        : { ...told, extensions: new Map([...told.extensions, ['platform', platform] as const]) };
    return { state, mac: responseMac(key.key, route, mac, serverStateBytes(state)) };
  }
}
