import type { AccountId, LineageId, Mac, SlotId } from '../bytes/fixed-bytes.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type Extensions, noExtensions } from '../protocol/extensions.ts';
import type { MacRoute } from '../protocol/labels.ts';
import { MAC_FRESHNESS_MS, type MacRequest, macMatches, requestMac } from '../protocol/mac.ts';
import type { ServerState } from '../protocol/slot-messages.ts';
import type { LineageRecord } from './lineage-record.ts';
import type { ServerIdentity } from './server-identity.ts';
import type { Vault } from './vault.ts';

/** The parts that the routes with a MAC use. */
export interface MacRouteParts {
  readonly identity: ServerIdentity;
  readonly vault: Vault;
  readonly now: () => number;
  readonly extensionsFor?: (account: AccountId) => Extensions;
  /** Called when an account confirms a key here, and when its last key is erased at its own request. */
  readonly onServed: (account: AccountId) => void;
  readonly onForgotten: (account: AccountId) => void;
}

/** A state of this server and its MAC. */
export interface ProvedState {
  readonly state: ServerState;
  readonly mac: Mac;
}

/** Stands in for an unknown key, so that its answer takes as long as that to a wrong MAC. */
const NO_KEY = new SecretBytes(new Uint8Array(32));

/** Whether the MAC of a request is right under a key; without a key it never is, after the same work. */
export function provesKey(
  key: SecretBytes | undefined,
  route: MacRoute,
  { envelope, mac }: MacRequest<unknown, SlotId | LineageId>,
  content: Uint8Array,
  { account: server }: ServerIdentity,
): boolean {
  const matches = macMatches(mac, requestMac(key ?? NO_KEY, route, { ...envelope, server }, content));
  return matches && key !== undefined;
}

/** Checks the time of an authenticated request. @throws EvidenceError TIMESTAMP_STALE. */
export function requireFresh(timestampMs: number, nowMs: number): void {
  const offMs = timestampMs - nowMs;
  if (Math.abs(offMs) <= MAC_FRESHNESS_MS) return;
  throw new EvidenceError('TIMESTAMP_STALE', `the timestamp is ${Math.round(offMs / 1000)} s off`, {
    field: 'timestampMs',
    expected: `within ${MAC_FRESHNESS_MS / 1000} s of this server's clock (${nowMs})`,
    observed: `${timestampMs}`,
  });
}

/** What an answer to an account says of this server, and of a lineage. */
export const serverState = (
  { identity, vault, now, extensionsFor }: MacRouteParts,
  account: AccountId,
  lineage: LineageRecord | undefined,
): ServerState => {
  const nowMs = now();
  return {
    instanceId: identity.instanceId,
    serverTimeMs: nowMs,
    draining: vault.isDraining,
    lineage: vault.stateOf(lineage, nowMs),
    extensions: extensionsFor?.(account) ?? noExtensions,
  };
};
