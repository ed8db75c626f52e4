import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { platformHash } from '../trust/platform-lists.ts';
import type { OwnPart } from './answer.ts';
import type { JudgedCustodyRequest } from './judge-request.ts';
import { ageLine, dateOf } from './request-age.ts';

/** What a custodian reads before he confirms: which machine asks, what it runs, from where, and how old its disk is. */
export function describeRequest(judged: JudgedCustodyRequest, own: OwnPart): readonly string[] {
  const { request, verified, measurement, manifest, judgedAtMs } = judged;
  const { report, finalized } = request;
  const changed = report.changedAtMs === undefined ? 'unknown' : dateOf(report.changedAtMs);
  return [
    `account        ${encodeSs58(request.account)}`,
    `platform       ${toPrefixedHex(platformHash(verified.platform.ppid))} (SHA-256 of the PPID; TCB ${verified.tcbStatus})`,
    `image          ${toPrefixedHex(measurement)}`,
    `your part      ${own.custodian}, ${request.threshold} of ${request.parts.length} are needed, generation ${request.generation}`,
    `store          ${toPrefixedHex(request.storeId)}`,
    `made           ${ageLine(report, judgedAtMs)}`,
    `newest block   ${finalized.number} ${toPrefixedHex(finalized.hash)}${report.blockAtMs === undefined ? '' : ` of ${dateOf(report.blockAtMs)}`}`,
    `your manifest  ${manifest === undefined ? 'none' : `serial ${manifest.serial}, signed ${dateOf(manifest.issuedAtMs)}`}`,
    'the node says (its host can make this look different):',
    `  locked       ${report.reason}`,
    `  disk         last record ${report.sequence ?? 'unknown'}, changed ${changed}`,
    ...report.servers.map(({ account, standing }) => `  key server   ${account}: ${standing}`),
  ];
}
