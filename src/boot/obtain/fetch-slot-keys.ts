import { equalBytes } from '../../bytes/concat.ts';
import type { SlotId } from '../../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { KeyslotFile, Slot } from '../../keyslots/keyslot-file.ts';
import { RecoveryAttempt } from '../../keyslots/recovery-attempt.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import type { PeerFailure } from '../peer/peer-failure.ts';
import { type RoundTools, runKeyRound } from './key-round.ts';

const wrongKey: PeerFailure = { kind: 'lied', detail: 'its key does not open the slot' };

/** What came of one slot. */
export type SlotKeyAnswer =
  | { readonly ok: true; readonly key: SecretBytes; readonly lineage: LineageState | undefined }
  | { readonly ok: false; readonly failure: PeerFailure };

/**
 * Asks the servers of slots of one generation for the keys, in one round: a quote does not name a server twice, so each
 * generation needs a quote of its own. Slots of servers that left the chain get no answer.
 * @param file holds the generation.
 * @param onAnswer gets a key only when it opens its slot: a liar could prove to hold whatever key it gave.
 */
export async function fetchSlotKeys(
  tools: RoundTools,
  asked: {
    readonly file: KeyslotFile;
    readonly slots: readonly Slot[];
    readonly snapshot: ChainSnapshot;
    readonly signal: AbortSignal;
  },
  onAnswer: (slotId: SlotId, answer: SlotKeyAnswer) => void,
): Promise<void> {
  const { file, slots, snapshot, signal } = asked;
  const targets = slots.flatMap(({ server, slotId, recoveryToken }) => {
    const peer = snapshot.servers.find(({ account }) => equalBytes(account, server));
    return peer === undefined ? [] : [{ peer, slotId, recoveryToken }];
  });
  if (targets.length === 0) return;
  await runKeyRound(tools, {
    account: file.account,
    intent: 'recover',
    targets,
    // The first answer gets a quote at once; a server that hangs gets a quote of its own.
    quorum: 1,
    signal,
    onResult: ({ slotId, peer }, result) => {
      if (!result.ok) {
        onAnswer(slotId, { ok: false, failure: result.failure });
        return;
      }
      const { keyId, key, lineage } = result.answer.grant;
      const attempt = new RecoveryAttempt(file, 1);
      const verdict = attempt.offer({ server: peer.account, platform: 'any', slotId, keyId, key });
      attempt.wipe();
      if (verdict === 'opened') {
        onAnswer(slotId, { ok: true, key, lineage });
      } else {
        key.wipe();
        onAnswer(slotId, { ok: false, failure: wrongKey });
      }
    },
  });
}
