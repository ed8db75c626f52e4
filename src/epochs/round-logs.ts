import { copyBytes } from '../bytes/copy-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { copyMembership, type Membership } from './dealer.ts';
import { memberName, type VerifiedLog } from './dkg-scheme.ts';
import { participantName } from './epoch-names.ts';
import type { Share } from './epoch-record.ts';
import type { MessageVerdict } from './message-verdict.ts';

/** The result of a finished round for this node. */
export interface ConcludedRound {
  readonly output: Uint8Array;
  /** Absent on an observer. */
  readonly share?: Share;
}

/**
 * Records a log from the chain; the first log of a dealer counts.
 * @returns `fault` for a log that does not verify, `skip` for a second log or an unknown dealer; neither is written.
 */
export async function recordLog(
  { journal, scheme, round }: Membership,
  dealer: Uint8Array,
  log: Uint8Array,
): Promise<MessageVerdict> {
  const [from, bytes] = [copyBytes(dealer, 'dealer'), copyBytes(log, 'log')];
  if (memberName(round.dealers, from) === undefined || journal.hasLog(round.epoch, from)) return 'skip';
  if (scheme.readLog(round, from, bytes) === undefined) return 'fault';
  return (await journal.appendLog(round.epoch, from, bytes)) ? 'valid' : 'skip';
}

/** The logs of the round that the journal has. */
export function recordedLogs({ journal, scheme, round }: Membership): VerifiedLog[] {
  return journal.logs(round.epoch).flatMap(({ participant, message }) => {
    const log = scheme.readLog(round, participant, message);
    return log === undefined ? [] : [log];
  });
}

/**
 * Ends a round with the recorded logs.
 * @returns `undefined` when there are too few for an outcome; without a share when this node is no player, or a part
 *   that it acknowledged is missing: it then observes, and gets a share again in the next round.
 */
export async function concludeRound(membership: Membership): Promise<ConcludedRound | undefined> {
  const mine = copyMembership(membership);
  const { journal, scheme, round } = mine;
  const outcome = scheme.combine(round, recordedLogs(mine));
  if (outcome === undefined) return undefined;
  const parts = new Map<string, SecretBytes>();
  for (const { dealer } of outcome.selected) {
    const part = await journal.privateDealing(round.epoch, dealer);
    if (part !== undefined) parts.set(participantName(dealer), part);
  }
  const share = scheme.share(round, outcome, parts);
  for (const part of parts.values()) part.wipe();
  return { output: outcome.output, ...(share === undefined ? {} : { share }) };
}
