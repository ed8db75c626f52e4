import { toPrefixedHex } from '../bytes/hex.ts';
import type { TdPolicy } from '../tdx/policy.ts';

type Json = string | number | boolean | string[];

/** Every list of a policy means a set, so its order must not change the hash. */
const sortedSet = (list: readonly string[]): string[] => [...new Set(list)].sort();

function toJson(value: Exclude<TdPolicy[keyof TdPolicy], undefined | TdPolicy['measurements']>): Json {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (typeof value !== 'object') return value;
  return sortedSet(value.map((entry) => (typeof entry === 'string' ? entry : toPrefixedHex(entry))));
}

/**
 * The one JSON text of a TD policy, with every default in it: what `parsePolicy` reads back to the same policy, however
 * that policy was first written. Absent fields mean "anything".
 */
export function tdPolicyToJson(policy: TdPolicy): Readonly<Record<string, Json>> {
  const { measurements, ...fields } = policy;
  const json: Record<string, Json> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) json[name] = toJson(value);
  }
  for (const [name, accepted] of measurements) json[name] = sortedSet(accepted.map(toPrefixedHex));
  return json;
}
