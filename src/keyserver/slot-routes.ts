import type { AccountId, Mac } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type Extensions, noExtensions } from '../protocol/extensions.ts';
import type { MacRoute } from '../protocol/labels.ts';
import {
  claimBytes,
  forgottenBytes,
  type Incarnation,
  type KeyStatus,
  keyStatusBytes,
  MAC_FRESHNESS_MS,
  type MacRequest,
  macMatches,
  requestMac,
  responseMac,
  type SlotState,
  slotStateBytes,
} from '../protocol/mac-routes.ts';
import type { ServerIdentity } from './server-identity.ts';
import type { SlotKey } from './slot-key.ts';
import type { Vault } from './vault.ts';

/** The answer of `forget`. */
export interface ProvedForgotten {
  readonly extensions: Extensions;
  readonly mac: Mac;
}

/** A slot state and its MAC. */
export interface ProvedState {
  readonly state: SlotState;
  readonly mac: Mac;
}

/** Stands in for an unknown key, so that its answer takes as long as that to a wrong MAC. */
const NO_KEY = new SecretBytes(new Uint8Array(32));

/** The routes that a server key authenticates: `key-status`, `claim`, `forget`. */
export class SlotRoutes {
  readonly #identity: ServerIdentity;
  readonly #vault: Vault;
  readonly #now: () => number;
  readonly #extensionsFor: (account: AccountId) => Extensions;
  readonly #onServed: (account: AccountId) => void;
  readonly #onForgotten: (account: AccountId) => void;

  constructor(parts: {
    readonly identity: ServerIdentity;
    readonly vault: Vault;
    readonly now: () => number;
    readonly extensionsFor?: (account: AccountId) => Extensions;
    readonly onServed: (account: AccountId) => void;
    readonly onForgotten: (account: AccountId) => void;
  }) {
    this.#identity = parts.identity;
    this.#vault = parts.vault;
    this.#now = parts.now;
    this.#extensionsFor = parts.extensionsFor ?? (() => noExtensions);
    this.#onServed = parts.onServed;
    this.#onForgotten = parts.onForgotten;
  }

  /** Confirms the slot, takes head and report, and answers with the state of the slot. */
  keyStatus(request: MacRequest<KeyStatus>): ProvedState {
    const { content, mac } = request;
    const key = this.#authenticate('key-status', request, keyStatusBytes(content));
    if (content.confirm && !key.confirmed) {
      key.confirm();
      this.#onServed(key.account);
    }
    if (content.head !== undefined) key.deposit(content.head, content.incarnation);
    if (content.report !== undefined) key.setReport(content.report, content.incarnation);
    return this.#prove('key-status', key, mac);
  }

  /** Takes the claim if it is newer than that of the slot; answers with the claim that holds now. */
  claim(request: MacRequest<Incarnation>): ProvedState {
    const key = this.#authenticate('claim', request, claimBytes(request.content));
    key.claim(request.content);
    return this.#prove('claim', key, request.mac);
  }

  /** Erases the key. */
  forget(request: MacRequest<undefined>): ProvedForgotten {
    const key = this.#authenticate('forget', request, new Uint8Array(0));
    const extensions = this.#extensionsFor(key.account);
    const mac = responseMac(key.key, 'forget', request.mac, forgottenBytes(extensions));
    this.#vault.forget(key.account, key.slotId);
    // An account with another key here must still be told when this server restarts.
    if (!this.#vault.holdsKeyOf(key.account)) this.#onForgotten(key.account);
    return { extensions, mac };
  }

  #authenticate<Content>(route: MacRoute, request: MacRequest<Content>, content: Uint8Array): SlotKey {
    const { envelope, mac } = request;
    const nowMs = this.#now();
    const key = this.#vault.find(envelope.account, envelope.slotId, nowMs);
    const expected = requestMac(
      key?.key ?? NO_KEY,
      route,
      { ...envelope, server: this.#identity.account },
      content,
    );
    const matches = macMatches(mac, expected);
    if (key === undefined || !matches) {
      throw new EvidenceError('KEY_UNKNOWN', 'this server holds no such key, or the MAC is wrong');
    }
    const offMs = envelope.timestampMs - nowMs;
    if (Math.abs(offMs) > MAC_FRESHNESS_MS) {
      throw new EvidenceError('TIMESTAMP_STALE', `the timestamp is ${Math.round(offMs / 1000)} s off`, {
        field: 'timestampMs',
        expected: `within ${MAC_FRESHNESS_MS / 1000} s of this server's clock (${nowMs})`,
        observed: `${envelope.timestampMs}`,
      });
    }
    this.#vault.noteUse(key, nowMs);
    return key;
  }

  #prove(route: MacRoute, key: SlotKey, request: Mac): ProvedState {
    const state: SlotState = {
      instanceId: this.#identity.instanceId,
      serverTimeMs: this.#now(),
      incarnation: key.incarnation,
      head: key.head,
      draining: this.#vault.isDraining,
      extensions: this.#extensionsFor(key.account),
    };
    return { state, mac: responseMac(key.key, route, request, slotStateBytes(state)) };
  }
}
