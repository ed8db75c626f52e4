import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import { type CustodyReport, MAX_DATE_MS } from '../../custody/request.ts';
import type { RequestTimes } from '../../custody/request-age.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import type { Generation, GenerationCustody, KeyslotFile } from '../../keyslots/keyslot-file.ts';
import type { PeekedLog } from '../../store/open/peek-log.ts';
import { type NodeState, summarize } from '../node/node-state.ts';
import { describeFailure } from '../peer/peer-failure.ts';

/** Most of a text that goes into a report. */
const MAX_REASON = 500;
const MAX_STANDING = 250;

/**
 * The generation of slots that custodians are asked for: by default the newest that has parts.
 * @throws RefusalError CUSTODY_ABSENT.
 */
export function generationWithParts(
  file: KeyslotFile,
  number: number | undefined,
): Generation & { readonly custody: GenerationCustody } {
  for (const generation of file.generations) {
    const { custody } = generation;
    if (number !== undefined && generation.generation !== number) continue;
    if (custody !== undefined && custody.parts.length > 0) return { ...generation, custody };
  }
  throw new RefusalError('CUSTODY_ABSENT', 'the keyslot file has no parts of custodians', {
    ...(number === undefined ? {} : { field: `generation ${number}` }),
    hint: 'trust.custody names custodians for generations that are made from then on, not for this one',
  });
}

/** What a locked node says of itself in a request: its state, its disk, and the time. */
export const custodyReport = (
  state: NodeState,
  log: PeekedLog,
  nowMs: number,
  block: ChainSnapshot['block'],
): CustodyReport => ({ ...reportOn(state), ...datable(log), ...timesOf(nowMs, block) });

function timesOf(nowMs: number, { timestampMs }: ChainSnapshot['block']): RequestTimes {
  const madeAtMs = Math.max(nowMs, timestampMs ?? 0);
  return { madeAtMs, ...(timestampMs === undefined ? {} : { blockAtMs: timestampMs }) };
}

/** The host sets the times of files: one that is no date would make the request unreadable. */
function datable({ changedAtMs, ...rest }: PeekedLog): PeekedLog {
  const isDate = changedAtMs !== undefined && changedAtMs >= 0 && changedAtMs <= MAX_DATE_MS;
  return isDate ? { ...rest, changedAtMs } : rest;
}

function reportOn(state: NodeState): Pick<CustodyReport, 'reason' | 'servers'> {
  const slots = 'slots' in state ? state.slots : [];
  return {
    reason: summarize(state).slice(0, MAX_REASON),
    servers: slots.slice(0, 32).map(({ server, standing }) => ({
      account: encodeSs58(server),
      standing: (typeof standing === 'string' ? standing : describeFailure(standing)).slice(0, MAX_STANDING),
    })),
  };
}
