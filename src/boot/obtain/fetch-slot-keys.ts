import type { SlotId } from '../../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { KeyslotFile, Slot } from '../../keyslots/keyslot-file.ts';
import { RecoveryAttempt } from '../../keyslots/recovery-attempt.ts';
import type { LineageObserver } from '../peer/held-keys.ts';
import type { PeerFailure } from '../peer/peer-failure.ts';
import { type KeyHolder, KeyHolders } from './key-holders.ts';
import { type RoundResult, type RoundTarget, type RoundTools, runKeyRound } from './key-round.ts';
import type { ServerVetter } from './vet-server.ts';

const wrongKey: PeerFailure = { kind: 'lied', detail: 'its key does not open the slot' };

/** What came of one slot. */
export type SlotKeyAnswer =
  | { readonly ok: true; readonly key: SecretBytes }
  | { readonly ok: false; readonly failure: PeerFailure };

/** Which slots of one generation are asked for. */
export interface AskedSlots {
  /** Holds the generation. */
  readonly file: KeyslotFile;
  readonly slots: readonly Slot[];
  readonly snapshot: ChainSnapshot;
  /** Sees what every grant shows of the lineage. */
  readonly observer: LineageObserver;
  readonly signal: AbortSignal;
}

/**
 * Asks the servers of slots of one generation for the keys, in one round: a quote does not name a server twice, so each
 * generation needs a quote of its own. Servers are believed as in a recovery: the chain proves their machine, and their
 * attestation passes. Slots of servers that left the chain get no answer.
 * @param onAnswer gets a key only when it opens its slot: a liar could prove to hold whatever key it gave.
 */
export async function fetchSlotKeys(
  tools: RoundTools & { readonly vetter: ServerVetter },
  asked: AskedSlots,
  onAnswer: (slotId: SlotId, answer: SlotKeyAnswer) => void,
): Promise<void> {
  const { file, slots, snapshot, observer, signal } = asked;
  const holders = new KeyHolders(tools.vetter, snapshot, signal);
  const targets = new Map<RoundTarget, KeyHolder>();
  for (const slot of slots) {
    const { slotId, recoveryToken } = slot;
    const found = holders.find(slot);
    if ('holder' in found) targets.set({ peer: found.holder.record, slotId, recoveryToken }, found.holder);
    else if (found.failure.kind !== 'departed') onAnswer(slotId, { ok: false, failure: found.failure });
  }
  if (targets.size === 0) return;
  const taken: Promise<void>[] = [];
  const take = async (target: RoundTarget, result: RoundResult): Promise<void> => {
    if (result.ok) observer.observe(result.answer.grant.lineage);
    onAnswer(target.slotId, await judged(file, target, result, holders, targets.get(target)));
  };
  // In parallel with the challenges, so that vetting adds no time.
  for (const holder of targets.values()) void holders.vet(holder);
  await runKeyRound(tools, {
    account: file.account,
    intent: 'recover',
    targets: [...targets.keys()],
    // The first answer gets a quote at once; a server that hangs gets a quote of its own.
    quorum: 1,
    signal,
    onResult: (target, result) => void taken.push(take(target, result)),
  });
  await Promise.all(taken);
}

async function judged(
  file: KeyslotFile,
  { slotId, peer }: RoundTarget,
  result: RoundResult,
  holders: KeyHolders,
  holder: KeyHolder | undefined,
): Promise<SlotKeyAnswer> {
  if (!result.ok) return { ok: false, failure: result.failure };
  const { keyId, key } = result.answer.grant;
  const refusal = holder === undefined ? wrongKey : await holders.vet(holder);
  const attempt = new RecoveryAttempt(file, 1);
  const verdict = attempt.offer({ server: peer.account, platform: 'any', slotId, keyId, key });
  attempt.wipe();
  if (refusal === undefined && verdict === 'opened') return { ok: true, key };
  key.wipe();
  return { ok: false, failure: refusal ?? wrongKey };
}
