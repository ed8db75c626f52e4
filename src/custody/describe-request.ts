import { toHex, toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { platformOfPart } from '../keyslots/custody-parts.ts';
import type { OwnPart } from './answer.ts';
import type { JudgedCustodyRequest } from './judge-request.ts';

/** What a custodian reads before he confirms: which machine asks, what it runs, from where, and how old its disk is. */
export function describeRequest(judged: JudgedCustodyRequest, own: OwnPart): readonly string[] {
  const { request, verified, measurement } = judged;
  const { report, finalized } = request;
  const changed =
    report.changedAtMs === undefined
      ? 'unknown'
      : new Date(report.changedAtMs).toISOString().slice(0, 16).replace('T', ' ');
  return [
    `account        ${encodeSs58(request.account)}`,
    `platform       ${toHex(verified.platform.ppid)} (PPID; TCB ${verified.tcbStatus})`,
    `image          ${toPrefixedHex(measurement)}`,
    `your part      ${own.custodian}, ${request.threshold} of ${request.parts.length} are needed, generation ${request.generation}`,
    `store          ${toPrefixedHex(request.storeId)}`,
    `asked at       block ${finalized.number} ${toPrefixedHex(finalized.hash)}`,
    'the node says (its host can make this look different):',
    `  locked       ${report.reason}`,
    `  disk         last record ${report.sequence ?? 'unknown'}, changed ${changed} UTC`,
    ...report.servers.map(({ account, standing }) => `  key server   ${account}: ${standing}`),
  ];
}

/** A warning when another platform asks than the one on which the parts were made. */
export function platformWarnings({ verified }: JudgedCustodyRequest, { part }: OwnPart): readonly string[] {
  const made = toHex(platformOfPart(part));
  if (made === toHex(verified.platform.ppid)) return [];
  return [`another platform asks than the one on which the parts were made (${made}): was the node moved?`];
}
