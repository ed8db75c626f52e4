import { toPrefixedHex } from '../bytes/hex.ts';
import type { ExtendedReportPolicy, TdPolicy } from '../tdx/policy.ts';

type Json = string | number | boolean | string[] | { readonly [name: string]: Json };

type Field = Exclude<TdPolicy[keyof TdPolicy], undefined | TdPolicy['measurements']>;

/** Every list of a policy means a set, so its order must not change the hash. */
const sortedSet = (list: readonly string[]): string[] => [...new Set(list)].sort();

const listToJson = (list: readonly (string | Uint8Array)[]): string[] =>
  sortedSet(list.map((entry) => (typeof entry === 'string' ? entry : toPrefixedHex(entry))));

function toJson(value: Field): Json {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (typeof value !== 'object') return value;
  if (isList(value)) return listToJson(value);
  const rules = Object.entries(value).map(([name, rule]) => [name, rule === 'any' ? rule : listToJson(rule)]);
  return Object.fromEntries(rules);
}

// Array.isArray does not narrow to a readonly array.
const isList = (value: Field & object): value is Exclude<Field & object, ExtendedReportPolicy> =>
  Array.isArray(value);

/**
 * Fields that came after trust section version 1. They are left out at their default, so that the hash of a section
 * that says nothing about them stays what it was, and servers of both releases accept each other.
 */
const laterFields: ReadonlySet<string> = new Set(['allowMigratable'] satisfies (keyof TdPolicy)[]);

/**
 * The one JSON text of a TD policy, with the defaults of trust section version 1 in it: `parsePolicy` reads it back to
 * the same policy. Absent lists mean "anything".
 */
export function tdPolicyToJson(policy: TdPolicy): Readonly<Record<string, Json>> {
  const { measurements, ...fields } = policy;
  const json: Record<string, Json> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || (laterFields.has(name) && value === false)) continue;
    json[name] = toJson(value);
  }
  for (const [name, accepted] of measurements) json[name] = sortedSet(accepted.map(toPrefixedHex));
  return json;
}
