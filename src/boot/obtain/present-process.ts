import { equalBytes } from '../../bytes/concat.ts';
import { type AccountId, type InstanceId, SlotId } from '../../bytes/fixed-bytes.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import { NO_INCARNATION } from '../../lineage/incarnation.ts';
import { failureOf, PeerError } from '../peer/peer-failure.ts';
import type { EnrolmentTools } from './enrolment.ts';
import { type RoundResult, runKeyRound } from './key-round.ts';

/** A question which process a server is. */
export interface ProcessQuestion {
  readonly record: ServerRecord;
  /** Of the node that asks. */
  readonly account: AccountId;
  /** The processes that issued the slots in question. */
  readonly known: readonly InstanceId[];
  readonly snapshot: ChainSnapshot;
  readonly signal: AbortSignal;
}

/**
 * The process that a server is now: one of the known ones, or another one, so that what those had in memory is gone.
 * @throws PeerError when the server proves neither.
 */
export type PresentProcess = (question: ProcessQuestion) => Promise<InstanceId>;

/**
 * Asks by the attestation of the server. Where that names another process it may be an old one: nothing in it is the
 * asker's, and the network can show for minutes what a process attested that has ended before the slots were issued. So
 * the server then has to give a key: its seal is over a challenge and a key of this request.
 */
export const presentProcessBy =
  (tools: EnrolmentTools): PresentProcess =>
  async (question) => {
    const { record, known, snapshot, signal } = question;
    const attested = await tools.vetter.instanceOf(record, snapshot, signal);
    return known.some((one) => equalBytes(one, attested)) ? attested : await granting(tools, question);
  };

/** The process that gives a new key, which is erased again. */
async function granting(
  tools: EnrolmentTools,
  { record, account, signal }: ProcessQuestion,
): Promise<InstanceId> {
  const slotId = SlotId.of(tools.random(SlotId.byteLength));
  let result: RoundResult | undefined;
  await runKeyRound(tools, {
    account,
    intent: 'create',
    targets: [{ peer: record, slotId }],
    quorum: 1,
    signal,
    onResult: (_target, answer) => {
      result = answer;
    },
  });
  if (result === undefined) throw new PeerError(failureOf(new Error('aborted')));
  if (!result.ok) throw new PeerError(result.failure);
  const { grant, instanceId } = result.answer;
  grant.recoveryToken?.wipe();
  const held = { account, slotId, key: grant.key, observer: { observe: () => undefined } };
  tools.client
    .forget(record, held, NO_INCARNATION)
    // What is not reached ages away: it was not confirmed.
    .catch(() => undefined)
    .finally(() => grant.key.wipe());
  return instanceId;
}
