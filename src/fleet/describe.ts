import { toPrefixedHex } from '../bytes/hex.ts';
import { headerHash, LAST_SERIAL } from './fleet-header.ts';
import type { FleetInForce } from './in-force.ts';
import type { ManifestContent } from './manifest.ts';
import type { SignedHeader } from './signed-header.ts';

/** A manifest in words, one line a fact, for the people who sign it. Says nothing about who signed. */
export function describeManifest({ header }: SignedHeader, content: ManifestContent): readonly string[] {
  return [
    `fleet manifest ${serialText(header.serial)} of authority ${toPrefixedHex(header.authorityId)}`,
    `hash ${toPrefixedHex(headerHash(header))}, after ${toPrefixedHex(header.previous)}`,
    `network ${toPrefixedHex(header.network)}`,
    `issued ${timeText(header.issuedAtMs)}`,
    ...describeBody(content),
  ];
}

/** What is in force, one line a fact. */
export function describeInForce(now: FleetInForce): readonly string[] {
  return [
    `in force for a new node: ${now.trustHashes.length} trust sections, ${now.measurements.length} images,`,
    `  ${now.endorsed.length} endorsed and ${now.revoked.length} revoked platforms, ${now.moves.length} moves`,
    ...now.trustHashes.map((hash) => `  trust section ${hash}`),
    ...now.measurements.map((id) => `  image ${id}`),
  ];
}

const serialText = (serial: number): string => (serial === LAST_SERIAL ? 'LAST' : `${serial}`);
const timeText = (ms: number): string => (ms <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`);
const untilText = (until: number | undefined): string =>
  until === undefined ? '' : ` until ${timeText(until)}`;

function describeBody({ body, endorsed, revoked }: ManifestContent): readonly string[] {
  if (body.kind === 'handover') {
    const { id, threshold, keys } = body.successor;
    return [
      `HANDOVER: from now on authority ${id} signs, with ${threshold} of these keys:`,
      ...keys.map((key) => `  ${key}`),
      'it takes effect after delayMs, unless another handover of the same authority is published before that',
    ];
  }
  const { minimumTcbEvaluationDataNumber: number, rekey } = body;
  return [
    ...body.trustHashes.map(({ hash, until }) => `accepts the trust section ${hash}${untilText(until)}`),
    ...body.measurements.map(({ id, until }) => `accepts the image ${id}${untilText(until)}`),
    ...(number === undefined ? [] : [`requires TCB evaluation data number ${number}`]),
    ...body.moves.map(
      ({ account, from, to }) =>
        `lets ${account} recover on ${to} what is bound to ${from}; take it out once it is done`,
    ),
    ...(rekey === undefined ? [] : [`asks every node for a new store key (${rekey.id}): ${rekey.reason}`]),
    `endorses ${endorsed.platforms.length} platforms, revokes ${revoked.platforms.length}`,
    ...endorsed.platforms
      .filter(({ until }) => until !== undefined)
      .map(
        ({ platform, owner, place, until }) => `endorses ${platform} (${owner}, ${place})${untilText(until)}`,
      ),
    ...revoked.platforms.map(
      ({ platform, owner, place, until }) => `revokes ${platform} (${owner}, ${place})${untilText(until)}`,
    ),
  ];
}
