import { emptyRules, type FleetRules } from './fleet-body.ts';
import type { ManifestContent } from './manifest.ts';

/**
 * The access that a manifest takes away from what the former one gave, one sentence each. Restrictions take effect at
 * once, so people read these before they sign.
 */
export function lossesOf(former: ManifestContent | undefined, next: ManifestContent): readonly string[] {
  if (next.body.kind === 'handover') return [];
  const before = former?.body.kind === 'rules' ? former.body : emptyRules;
  const { body } = next;
  const platforms = (content: ManifestContent | undefined, list: 'endorsed' | 'revoked'): Ends =>
    new Map(content?.[list].platforms.map(({ platform, until }) => [platform, until]));
  return [
    ...shorter(hashesOf(before), hashesOf(body)).map((hash) => `machines under the trust section ${hash}`),
    ...shorter(imagesOf(before), imagesOf(body)).map((id) => `machines of the image ${id}`),
    ...shorter(platforms(former, 'endorsed'), platforms(next, 'endorsed')).map(
      (platform) => `the endorsement of platform ${platform}`,
    ),
    ...shorter(platforms(next, 'revoked'), platforms(former, 'revoked')).map(
      (platform) => `platform ${platform}, which is revoked: its machines get no key`,
    ),
    ...shorter(movesOf(before), movesOf(body)).map((move) => `the move of ${move}`),
    ...tcbLoss(before, body),
  ];
}

/** Until when something is given; `undefined` without end. */
type Ends = ReadonlyMap<string, number | undefined>;

const hashesOf = ({ trustHashes }: FleetRules): Ends =>
  new Map(trustHashes.map(({ hash, until }) => [hash, until]));
const imagesOf = ({ measurements }: FleetRules): Ends =>
  new Map(measurements.map(({ id, until }) => [id, until]));
const movesOf = ({ moves }: FleetRules): Ends =>
  new Map(moves.map(({ account, from, to }) => [`${account} from ${from} to ${to}`, undefined]));

/** Names that are given no longer, or for a shorter time. */
function shorter(before: Ends, after: Ends): readonly string[] {
  return [...before].flatMap(([name, formerEnd = Number.POSITIVE_INFINITY]) => {
    if (!after.has(name)) return [name];
    const end = after.get(name);
    return end !== undefined && end < formerEnd ? [`${name}, from ${timeText(end)} on`] : [];
  });
}

const timeText = (ms: number): string => (ms <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`);

function tcbLoss(before: FleetRules, after: FleetRules): readonly string[] {
  const { minimumTcbEvaluationDataNumber: former = 0 } = before;
  const { minimumTcbEvaluationDataNumber: next = 0 } = after;
  if (next <= former) return [];
  return [`machines with collateral below TCB evaluation data number ${next} (was ${former})`];
}
