import { toPrefixedHex } from '../bytes/hex.ts';
import { trustHash } from './trust-hash.ts';
import type { TrustSection } from './trust-section.ts';

/** The difference of two trust sections. */
export interface SectionDiff {
  /** One line for each value that differs; empty for sections of one hash. */
  readonly changes: readonly string[];
  /** One line for each direction: whether machines under one section accept those under the other. */
  readonly acceptance: readonly string[];
}

/** Compares two sections, and says in words what the change means for the fleet. */
export function diffSections(former: TrustSection, next: TrustSection): SectionDiff {
  return {
    changes: diffValues('trust', former, next),
    acceptance: [accepts('former', former, 'new', next), accepts('new', next, 'former', former)],
  };
}

function diffValues(place: string, former: unknown, next: unknown): readonly string[] {
  if (JSON.stringify(former) === JSON.stringify(next)) return [];
  if (isList(former) && isList(next)) return diffLists(place, former, next);
  if (isMap(former) && isMap(next)) {
    const names = [...new Set([...Object.keys(former), ...Object.keys(next)])].sort();
    return names.flatMap((name) => diffValues(`${place}.${name}`, former[name], next[name]));
  }
  return [`${place}: ${textOf(former)} becomes ${textOf(next)}`];
}

function diffLists(place: string, former: readonly unknown[], next: readonly unknown[]): readonly string[] {
  const [before, after] = [former.map(textOf), next.map(textOf)];
  return [
    ...before.filter((item) => !after.includes(item)).map((item) => `${place}: ${item} is no longer in it`),
    ...after.filter((item) => !before.includes(item)).map((item) => `${place}: ${item} is new in it`),
  ];
}

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);
const isMap = (value: unknown): value is Readonly<Record<string, unknown>> => value instanceof Object;
const textOf = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));

function accepts(name: string, section: TrustSection, otherName: string, other: TrustSection): string {
  const hash = toPrefixedHex(trustHash(other));
  const start = `machines under the ${name} section`;
  const those = `those under the ${otherName} one (${hash})`;
  if (hash === toPrefixedHex(trustHash(section))) return `${start} accept ${those}: it has the same hash`;
  if (section.acceptedTrustHashes.includes(hash)) return `${start} accept ${those}: it is listed`;
  return section.authority === undefined
    ? `${start} REFUSE ${those}: it is not in acceptedTrustHashes, and no authority can add it`
    : `${start} refuse ${those}, unless a fleet manifest of authority ${section.authority.id} lists it`;
}
