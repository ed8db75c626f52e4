import { equalBytes } from '../bytes/concat.ts';
import { toHex, toPrefixedHex } from '../bytes/hex.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import { platformOfPart } from '../keyslots/custody-parts.ts';
import { platformHash } from '../trust/platform-lists.ts';
import type { JudgedCustodyRequest } from './judge-request.ts';

/**
 * Judges the platform that asks by the rules of a key server: the part says on which platform it was made, as a key is
 * bound to one.
 * @param part the custodian's own part, opened.
 * @returns warnings.
 * @throws RefusalError PLATFORM_REVOKED, PLATFORM_NOT_ENDORSED, PLATFORM_REFUSED.
 */
export function judgePlatform(judged: JudgedCustodyRequest, part: Uint8Array): readonly string[] {
  const { verified, platforms } = judged;
  const { ppid } = verified.platform;
  const boundTo = platformOfPart(part);
  if (!allows(judged, boundTo)) {
    return [
      'another platform asks than the one on which the parts were made, and --accept-platform allows it',
    ];
  }
  if (equalBytes(boundTo, ppid)) return [];
  const moved = platforms.policy.recover === 'bound' ? ' The fleet manifest allows this move.' : '';
  return [
    `another platform asks than the one on which the parts were made (${toHex(boundTo)}): was the node moved?${moved}`,
  ];
}

/** @returns false when only the custodian's own decision allows it. */
function allows(
  { request, verified, platforms, acceptedPlatform }: JudgedCustodyRequest,
  boundTo: Uint8Array,
) {
  const { ppid } = verified.platform;
  try {
    platforms.judgeRecovery({ account: request.account, boundTo, ppid });
    return true;
  } catch (refusal) {
    if (!(refusal instanceof RefusalError) || refusal.code !== 'PLATFORM_REFUSED') throw refusal;
    const asking = platformHash(ppid);
    if (acceptedPlatform !== undefined && equalBytes(acceptedPlatform, asking)) return false;
    throw new RefusalError('PLATFORM_REFUSED', refusal.message, {
      field: 'quote PPID',
      ...(refusal.expected === undefined ? {} : { expected: refusal.expected }),
      ...(refusal.observed === undefined ? {} : { observed: refusal.observed }),
      hint: `${refusal.hint}. If you know from people, and not from this request, that the machine was replaced: --accept-platform ${toPrefixedHex(asking)}`,
      cause: refusal,
    });
  }
}
