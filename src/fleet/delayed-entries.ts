import type { Manifest } from './manifest.ts';

/** Something that a manifest permits, and that takes effect after a delay. */
export interface DelayedEntry {
  /** Unique in a manifest, the same in all manifests that permit the same. */
  readonly name: string;
  /** When it first stood in a manifest, as the authority says. */
  readonly sinceMs: number;
  /** When it ends. */
  readonly untilMs: number | undefined;
}

export const trustHashName = (hash: string): string => `trust-hash ${hash}`;
export const measurementName = (id: string): string => `measurement ${id}`;
export const endorsementName = (platform: string): string => `endorsed ${platform}`;
export const moveName = (move: {
  readonly account: string;
  readonly from: string;
  readonly to: string;
}): string => `move ${move.account} ${move.from} ${move.to}`;

/** All entries of a manifest that take effect after a delay. A revocation is not among them. */
export function delayedEntries({ body, endorsed, header }: Manifest): readonly DelayedEntry[] {
  if (body.kind === 'handover') return [];
  return [
    ...body.trustHashes.map(({ hash, since, until }) => entry(trustHashName(hash), since, until)),
    ...body.measurements.map(({ id, since, until }) => entry(measurementName(id), since, until)),
    ...endorsed.platforms.map(({ platform, since, until }) => entry(endorsementName(platform), since, until)),
    ...body.moves.map((move) => entry(moveName(move), header.header.issuedAtMs, undefined)),
  ];
}

const entry = (name: string, sinceMs: number, untilMs: number | undefined): DelayedEntry => ({
  name,
  sinceMs,
  untilMs,
});
