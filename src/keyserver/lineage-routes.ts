import type { LineageId } from '../bytes/fixed-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { mayChange } from '../lineage/rules.ts';
import type { LineageRoute } from '../protocol/labels.ts';
import { type LineageUpdate, lineageUpdateBytes } from '../protocol/lineage-messages.ts';
import { type MacRequest, responseMac } from '../protocol/mac.ts';
import { serverStateBytes } from '../protocol/slot-messages.ts';
import type { LineageRecord } from './lineage-record.ts';
import { type MacRouteParts, type ProvedState, provesKey, requireFresh, serverState } from './mac-route.ts';

/** The routes that a lineage key authenticates: `lineage-status`, `lineage-update`. They work without a slot. */
export class LineageRoutes {
  readonly #parts: MacRouteParts;

  constructor(parts: MacRouteParts) {
    this.#parts = parts;
  }

  /** Shows the lineage and changes nothing. @throws EvidenceError LINEAGE_UNKNOWN, TIMESTAMP_STALE. */
  status(request: MacRequest<undefined, LineageId>): ProvedState {
    const lineage = this.#authenticate('lineage-status', request, new Uint8Array(0));
    return this.#prove('lineage-status', lineage, request);
  }

  /**
   * Shows the incarnation, takes the head, and erases slots of the lineage; a closing lineage loses all of them and shows
   * its last incarnation and head. Nothing of that when the lineage is closed or knows a newer incarnation.
   * @throws EvidenceError LINEAGE_UNKNOWN, TIMESTAMP_STALE.
   */
  update(request: MacRequest<LineageUpdate, LineageId>): ProvedState {
    const { incarnation, forget, close } = request.content;
    const lineage = this.#authenticate('lineage-update', request, lineageUpdateBytes(request.content));
    const { vault, onForgotten } = this.#parts;
    const { account } = lineage;
    vault.lineages.noteUse(lineage);
    if (mayChange(lineage.facts, incarnation)) {
      this.#takeMarks(lineage, request.content);
      const leaving = close === undefined ? lineage.slotsNamed(forget) : lineage.slots;
      for (const { slotId } of leaving) vault.forget(account, slotId);
      if (leaving.length > 0 && !vault.holdsKeyOf(account)) onForgotten(account);
    }
    return this.#prove('lineage-update', lineage, request);
  }

  #takeMarks(lineage: LineageRecord, { incarnation, head, close }: LineageUpdate): void {
    lineage.show(incarnation);
    if (head !== undefined) lineage.deposit(incarnation, head);
    if (close !== undefined) lineage.close(incarnation, close);
  }

  #authenticate<Content>(
    route: LineageRoute,
    request: MacRequest<Content, LineageId>,
    content: Uint8Array,
  ): LineageRecord {
    const { identity, vault, now } = this.#parts;
    const { account, name, timestampMs } = request.envelope;
    const nowMs = now();
    const lineage = vault.lineages.find(account, name);
    if (!provesKey(lineage, route, request, content, identity)) {
      throw new EvidenceError('LINEAGE_UNKNOWN', 'this server knows no such lineage, or the MAC is wrong');
    }
    requireFresh(timestampMs, nowMs);
    return lineage;
  }

  #prove(
    route: LineageRoute,
    lineage: LineageRecord,
    { mac }: Pick<MacRequest<unknown>, 'mac'>,
  ): ProvedState {
    const state = serverState(this.#parts, lineage.account, lineage);
    return { state, mac: responseMac(lineage.key, route, mac, serverStateBytes(state)) };
  }
}
