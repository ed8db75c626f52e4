import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { Quorum } from '../../keyslots/threshold.ts';
import { describeFailure, type PeerFailure } from '../peer/peer-failure.ts';
import { adviceOn, type LockedCause } from './locked-cause.ts';

/** The state of one key server of a node. */
export interface SlotReport {
  readonly server: AccountId;
  readonly endpoint: string | undefined;
  /**
   * `live`: it holds its slot; `draining`: it does, and asks to be left; `asked`: no answer yet; else why it is of no
   * help.
   */
  readonly standing: 'live' | 'draining' | 'asked' | PeerFailure;
  /** True when the server gives the key back to another platform than that of this machine. */
  readonly isBoundElsewhere?: boolean;
}

/**
 * Why a node no longer writes: another instance took over, a change of the store key ended without a known outcome, or a
 * store that custodians opened turned out to be older than what servers remember.
 */
export type FencedCause = 'newer-instance' | 'key-unknown' | 'older-disk';

/**
 * Where a node is between power-on and a store that its peers can open again.
 *
 * | state | store | meaning |
 * |---|---|---|
 * | starting | closed | reads chain and disk |
 * | fresh | being made | first boot: asks servers for its first slots |
 * | locked | closed, untouched | has k of t slots; keeps trying |
 * | unbacked | open | no server holds a slot: a restart now loses the store |
 * | unclaimed | open, takes no writes | this instance does not hold its account yet, or its lease is not renewed |
 * | open | open | holds its account; slots not looked at yet |
 * | degraded | open | fewer than n slots live; being healed |
 * | backed | open | n slots confirmed and live |
 * | fenced | open, read-only | a newer instance claimed the account, or either of two store keys may be in force |
 * | stopped | closed | |
 */
export type NodeState =
  | { readonly name: 'starting'; readonly reason: string }
  | { readonly name: 'fresh'; readonly slots: readonly SlotReport[] }
  | {
      readonly name: 'locked';
      readonly cause: LockedCause;
      /** Owner of the store by the keyslot file, which the host can write; `undefined` while there is none to read. */
      readonly account?: AccountId | undefined;
      /** Slots that gave their key at the last attempt. */
      readonly have: number;
      /** Slots that open the store: t of the keyslot file, 1 while there is none to read. */
      readonly need: number;
      /** Slots that the store should have: n of the keyslot file, 0 while there is none to read. */
      readonly n: number;
      readonly reason: string;
      readonly slots: readonly SlotReport[];
    }
  | { readonly name: 'unbacked'; readonly reason: string; readonly slots: readonly SlotReport[] }
  | {
      readonly name: 'unclaimed';
      readonly reason: string;
      /** The error that ended the last attempt; `undefined` when it was none. */
      readonly cause?: LockedCause;
      /** Of the newest generation; `undefined` where the store has none. */
      readonly quorum?: Quorum | undefined;
      readonly slots: readonly SlotReport[];
    }
  | {
      readonly name: 'open';
      readonly quorum?: Quorum | undefined;
      readonly slots: readonly SlotReport[];
    }
  | {
      readonly name: 'degraded' | 'backed';
      /** Why there are fewer than n slots, or why servers that drain were not left, where this is known. */
      readonly reason?: string;
      readonly live: number;
      readonly n: number;
      readonly t: number;
      readonly generation: number;
      readonly slots: readonly SlotReport[];
    }
  | {
      readonly name: 'fenced';
      readonly cause: FencedCause;
      readonly reason: string;
      readonly quorum?: Quorum | undefined;
    }
  | { readonly name: 'stopped' };

/** A slot for JSON and people. */
export function slotToJson(slot: SlotReport): Record<string, unknown> {
  const { server, endpoint, standing, isBoundElsewhere } = slot;
  const text = typeof standing === 'string' ? standing : describeFailure(standing);
  return {
    server: encodeSs58(server),
    ...(endpoint === undefined ? {} : { endpoint }),
    standing: text,
    ...(isBoundElsewhere ? { isBoundElsewhere } : {}),
  };
}

/** A state for `/readyz`, `latchkey status` and the log. */
export function stateToJson(state: NodeState): Record<string, unknown> {
  const { name, quorum, account, ...rest } = { quorum: undefined, account: undefined, ...state };
  const slots = 'slots' in state ? { slots: state.slots.map(slotToJson) } : {};
  const { t, n } = quorum ?? {};
  const known = quorum === undefined ? {} : { t, n };
  // Not `accountId`: nothing has proved it.
  const owner = account === undefined ? {} : { keyslotAccount: encodeSs58(account) };
  return { state: name, ...owner, ...known, ...rest, ...slots, summary: summarize(state) };
}

/** One line for a person. */
export function summarize(state: NodeState): string {
  switch (state.name) {
    case 'starting':
      return `starting: ${state.reason}`;
    case 'fresh':
      return 'fresh: asking servers for the first slots';
    case 'locked':
      return `locked (${state.have} of ${state.need}): ${state.reason}`;
    case 'unbacked':
      return `unbacked: ${state.reason}; a restart now would lose this store`;
    case 'unclaimed':
      return `unclaimed: ${state.reason}`;
    case 'open':
      return 'open: slots not checked yet';
    case 'degraded':
    case 'backed': {
      const draining = drainingServers(state);
      const leaving = draining === 0 ? '' : `; ${draining} at servers that drain`;
      const elsewhere = slotsElsewhere(state);
      const bound = elsewhere === 0 ? '' : `; ${elsewhere} bound to another platform`;
      return `${state.name} (${state.live} of ${state.n} slots live, ${state.t} needed${leaving}${bound})`;
    }
    case 'fenced':
      return `fenced: ${state.reason}`;
    case 'stopped':
      return 'stopped';
  }
}

/** The next steps for the operator, for `latchkey status --explain`. */
export function explain(state: NodeState): string {
  switch (state.name) {
    case 'starting':
      return `Nothing yet. The node waits: ${state.reason}.`;
    case 'fresh':
      return 'Nothing to do: the node enrols with key servers; it is ready when all its slots are confirmed.';
    case 'locked':
      return explainLocked(state);
    case 'unbacked':
      return 'Do not restart this node before it is backed. It enrols by itself as soon as the chain shows enough key servers that pass its trust section.';
    case 'unclaimed':
      return explainUnclaimed(state);
    case 'open':
      return 'Nothing to do: the node is about to check its slots.';
    case 'degraded':
      return explainElsewhere(state) + explainDegraded(state);
    case 'backed':
      if (slotsElsewhere(state) > 0) return explainElsewhere(state).trimEnd();
      if (drainingServers(state) > 0) return explainDraining(state);
      return `Its store is backed: up to ${state.n - state.t} of its ${state.n} key servers may lose their memory at once.`;
    case 'fenced':
      return fencedAdvice[state.cause];
    case 'stopped':
      return 'The node is stopped.';
  }
}

const fencedAdvice: Readonly<Record<FencedCause, string>> = {
  'newer-instance':
    'Another instance of this node has claimed its account later than this one. Stop whichever should not run; if it was not you, someone copied the disk to another genuine machine.',
  'key-unknown':
    'The disk failed while the store key changed, so the former key or the new key may be in force. Check the disk, then restart the machine soon: the next start tries both keys. Until then the node writes nothing and replaces no slot, so do not restart its key servers.',
  'older-disk':
    'Custodians opened a store that is older than what a key server remembers. Stop the node and put the newest disk back. Only after a restore of your own: start once with --accept-rolled-back-store, and ask the custodians again.',
};

const drainingServers = ({ slots }: { readonly slots: readonly SlotReport[] }): number =>
  slots.filter(({ standing }) => standing === 'draining').length;

const slotsElsewhere = ({ slots }: { readonly slots: readonly SlotReport[] }): number =>
  slots.filter(({ isBoundElsewhere }) => isBoundElsewhere).length;

/** What to do before a restart, while the store is open; empty when this machine would get all keys back. */
function explainElsewhere(state: Extract<NodeState, { name: 'degraded' | 'backed' }>): string {
  const count = slotsElsewhere(state);
  if (count === 0) return '';
  return `${count} of its ${state.n} slots are bound to another platform than this machine: after a restart here their servers refuse the keys. Before a restart let the fleet authority sign a move of this account to this platform (\`latchkey fleet draft\`), or start on the former machine. `;
}

function explainDraining(state: Extract<NodeState, { name: 'degraded' | 'backed' }>): string {
  const { reason } = state;
  const why = reason === undefined ? '' : ` Last attempt: ${reason}.`;
  const count = drainingServers(state);
  return `${count} of its ${state.n} key servers ${count === 1 ? 'is' : 'are'} about to be stopped. The node keeps these slots until it has ${state.n} at others; where there are too few others, add a key server or cancel a drain.${why}`;
}

function explainUnclaimed({ cause }: Extract<NodeState, { name: 'unclaimed' }>): string {
  const key =
    'Do not restart it meanwhile: if too many of its key servers have lost their memory, only this process has the store key';
  if (cause === 'rolled-back') {
    return `The store on this disk is older than what a key server remembers, so it is neither written nor served. It stays open as long as too few key servers prove that they hold its slots. ${key}. Bring key servers back: then the node closes the store, and the newest disk can be put back. Only after a restore of your own: \`latchkey accept-rollback\` lets this process go on, and makes new slots for the key.`;
  }
  const advice = cause === undefined ? '' : ` ${adviceOn(cause)}`;
  return `The store is open and takes no writes. The node goes on by itself once enough of its key servers have shown the mark of this instance; help it by bringing key servers back. ${key}, and makes new slots for it.${advice}`;
}

function explainDegraded({ live, t, reason }: Extract<NodeState, { name: 'degraded' | 'backed' }>): string {
  const because = reason === undefined ? '' : ` Last attempt: ${reason}.`;
  return live < t
    ? `Do not restart this node now: only ${live} of the ${t} slots that it needs are live. It is making a new generation of slots; help it by bringing key servers back.${because}`
    : `Nothing urgent: enough slots live. The node replaces the missing ones as soon as enough servers are reachable.${because}`;
}

function explainLocked(state: Extract<NodeState, { name: 'locked' }>): string {
  const { cause, have, need, reason, slots } = state;
  if (cause !== 'keys-missing' && cause !== 'keys-lost')
    return `The store is closed and untouched. ${reason}\n${adviceOn(cause)}`;
  const lines = slots.map(
    (slot) =>
      `  - ${encodeSs58(slot.server)}: ${typeof slot.standing === 'string' ? slot.standing : describeFailure(slot.standing)}`,
  );
  const head = `It has ${have} of the ${need} slots that it needs. ${reason}`;
  return [head, ...lines, adviceOn(cause), ...adviceOnLockedServers(state)].join('\n');
}

/** Servers that are locked themselves cannot be brought back from outside; in a total blackout all of them are. */
function adviceOnLockedServers({ have, need, slots }: Extract<NodeState, { name: 'locked' }>): string[] {
  const locked = slots.filter(
    ({ standing }) =>
      typeof standing !== 'string' && standing.kind === 'refused' && standing.code === 'NODE_LOCKED',
  ).length;
  if (locked === 0 || slots.length - locked >= need - have) return [];
  return [
    `${locked} of these servers are locked themselves: it opens after them. When no node of the fleet opens any more, it is a total blackout: restart none, and let custodians open the stores, where trust.custody names them (docs/runbooks.md, Total blackout).`,
  ];
}
