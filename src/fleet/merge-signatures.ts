import { toPrefixedHex } from '../bytes/hex.ts';
import { ed25519Verify } from '../crypto/ed25519.ts';
import { MAX_AUTHORITY_KEYS } from '../trust/fleet-authority.ts';
import { encodeHeader, signingInput } from './fleet-header.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { decodeSignedHeader, encodeSignedHeader, type HeaderSignature } from './signed-header.ts';
import { type VerifiedHeader, verifyHeader } from './verify-header.ts';

/**
 * A manifest with the signatures that are to be handed on, of two copies of its header. Signatures are no part of the
 * hash, so anybody can take some away or add some of other keys. Kept are those of the keys of the authority, and of the
 * keys that the body names, because nodes under another section of the same fleet may need them.
 * @returns the same manifest when nothing changed.
 */
export function withSignaturesOf(manifest: Manifest, shown: VerifiedHeader): Manifest {
  const { body, header, parts } = manifest;
  const named = body.kind === 'rules' ? (body.signers ?? []) : [];
  const keys = new Set([...shown.signers.keys, ...named]);
  const all = [header, shown].flatMap(({ signed }) => decodeSignedHeader(signed).signatures);
  const message = signingInput(encodeHeader(header.header));
  const kept = new Map<string, HeaderSignature>();
  for (const one of all) {
    const name = toPrefixedHex(one.key);
    if (!keys.has(name) || kept.has(name)) continue;
    if (ed25519Verify(message, one.signature, one.key)) kept.set(name, one);
  }
  const signed = encodeSignedHeader({ header: header.header, signatures: mostUseful(kept, shown) });
  if (toPrefixedHex(signed) === toPrefixedHex(header.signed)) return manifest;
  const { network } = header.header;
  return readManifest(verifyHeader(signed, { network, signers: shown.signers, minimumSerial: 1 }), parts);
}

/** The keys of the own authority first: a header has a limit. */
function mostUseful(
  kept: ReadonlyMap<string, HeaderSignature>,
  { signers }: VerifiedHeader,
): readonly HeaderSignature[] {
  const isOwn = (name: string): boolean => signers.keys.includes(name);
  return [...kept]
    .sort(([a], [b]) => Number(isOwn(b)) - Number(isOwn(a)) || (a < b ? -1 : 1))
    .map(([, signature]) => signature)
    .slice(0, MAX_AUTHORITY_KEYS);
}
