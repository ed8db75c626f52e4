import type { NodeState } from '../boot/node/node-state.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import type { ServerVetter } from '../boot/obtain/vet-server.ts';
import { equalBytes } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { platformHash } from '../trust/platform-lists.ts';
import type { ChainWatch } from './chain-watch.ts';

/**
 * What the store of a node depends on: the newest generation of slots, and the platforms that hold them. For
 * `latchkey fleet draft`, which asks whether a manifest would take them away.
 */
export interface KeyslotReport {
  /** When it was read, by the clock of the node: ISO 8601. */
  readonly readAt: string;
  /** The platform of this machine: `0x` hex of SHA-256(PPID). */
  readonly platform: string;
  readonly generation: number;
  /** How many slots open the store. */
  readonly t: number;
  /** How many slots it should have. */
  readonly n: number;
  readonly slots: readonly {
    /** SS58. */
    readonly server: string;
    /** `0x` hex of SHA-256(PPID); absent where the chain now shows no registered quote that proves it. */
    readonly platform?: string;
    /** Whether the server proved at the last check that it holds the slot. */
    readonly isLive: boolean;
  }[];
}

/** What a report asks. */
interface ReportedSlots {
  readonly open: OpenNode | undefined;
  readonly state: NodeState;
  readonly chain: Pick<ChainWatch, 'recordOf'>;
  readonly vetter: Pick<ServerVetter, 'platformHashOf'>;
  /** PPID of this machine, 16 bytes. */
  readonly ppid: Uint8Array;
  readonly nowMs: number;
}

/** The report; `undefined` while the store is closed or has no slots. */
export function keyslotReport(parts: ReportedSlots): KeyslotReport | undefined {
  const newest = parts.open?.book.newest;
  if (newest === undefined) return undefined;
  const { generation, t, n } = newest;
  return {
    readAt: new Date(parts.nowMs).toISOString(),
    platform: toPrefixedHex(platformHash(parts.ppid)),
    generation,
    t,
    n,
    slots: newest.slots.map(({ server }) => ({
      server: encodeSs58(server),
      ...platformOf(server, parts),
      isLive: isLive(server, parts.state),
    })),
  };
}

function platformOf(
  server: AccountId,
  { chain, vetter }: ReportedSlots,
): Pick<KeyslotReport['slots'][number], 'platform'> {
  const record = chain.recordOf(server);
  if (record === undefined || record === 'unknown') return {};
  const platform = vetter.platformHashOf(record);
  return platform === undefined ? {} : { platform: toPrefixedHex(platform) };
}

/** A server may hold slots of two generations; the state does not say which of them it proved. */
function isLive(server: AccountId, state: NodeState): boolean {
  const slots = 'slots' in state ? state.slots.filter((slot) => equalBytes(slot.server, server)) : [];
  return slots.length > 0 && slots.every(({ standing }) => standing === 'live' || standing === 'draining');
}
