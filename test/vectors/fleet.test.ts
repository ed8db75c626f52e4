import { readFileSync } from 'node:fs';
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { describe, expect, it } from 'vitest';
import { fleetVectors } from '../../scripts/fleet-vectors.ts';
import { readContent } from '../../src/fleet/manifest.ts';
import { verifyHeader } from '../../src/fleet/verify-header.ts';

type Vectors = ReturnType<typeof fleetVectors>;

function documentedVectors(): Vectors {
  const page = readFileSync(new URL('../../docs/fleet.md', import.meta.url), 'utf8');
  const [, json] = /<!-- vectors:begin -->\n```json\n([\s\S]*?)\n```/.exec(page) ?? [];
  if (json === undefined) throw new TypeError('the page has no vectors');
  // The generator made it; a wrong shape fails below.
  return JSON.parse(json) as Vectors;
}

const vectors = documentedVectors();
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.slice(2), 'hex'));
const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const hex = (value: Uint8Array): string => `0x${Buffer.from(value).toString('hex')}`;
const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'ascii'));
const u64 = (value: number): Uint8Array => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return new Uint8Array(buffer);
};

describe('the vectors of docs/fleet.md', () => {
  it('equal the output of this implementation', () => {
    expect(vectors).toEqual(JSON.parse(JSON.stringify(fleetVectors())));
  });

  it('the header follows from its fields, and its hashes from the bytes', () => {
    const { fields, header, hash, body, endorsed } = vectors.manifest;
    const expected = join(
      bytes(fields.network),
      bytes(fields.authorityId),
      u64(fields.serial),
      bytes(fields.previous),
      bytes(fields.bodyHash),
      u64(fields.issuedAtMs),
    );
    expect(header).toBe(hex(expected));
    expect(hash).toBe(hex(sha256(expected)));
    expect(fields.bodyHash).toBe(hex(sha256(ascii(body))));
    expect(body).toContain(hex(sha256(ascii(endorsed))));
  });

  it.each(['manifest', 'handover'] as const)('the signatures of the %s, by another library', (name) => {
    const { header, signed } = vectors[name];
    const message = join(ascii('latchkey/v1/fleet'), bytes(header));
    const entries = vectors.keys
      .map(({ seed, publicKey }) => {
        expect(publicKey).toBe(hex(ed25519.getPublicKey(bytes(seed))));
        return join(bytes(publicKey), ed25519.sign(message, bytes(seed)));
      })
      .sort(Buffer.compare);
    expect(signed).toBe(hex(join(bytes(header), Uint8Array.of(2), ...entries)));
  });

  it('are accepted', () => {
    const { fields, signed, body, endorsed } = vectors.manifest;
    const signers = {
      id: fields.authorityId,
      threshold: 2,
      keys: vectors.keys.map(({ publicKey }) => publicKey),
    };
    const rules = { network: bytes(fields.network), signers, minimumSerial: 7 };
    const { header } = verifyHeader(bytes(signed), rules);
    const content = readContent(header, { body: ascii(body), endorsed: ascii(endorsed) });
    expect(content.endorsed.platforms).toHaveLength(1);
    const last = verifyHeader(bytes(vectors.handover.signed), rules);
    expect(readContent(last.header, { body: ascii(vectors.handover.body) }).body.kind).toBe('handover');
  });
});
