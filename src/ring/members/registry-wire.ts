import { z } from 'zod';
import { AccountId, BlockHash } from '../../bytes/fixed-bytes.ts';
import { toHex, tryFromHex } from '../../bytes/hex.ts';
import { parseWire } from '../../protocol/decode.ts';
import { type LogPart, RegistryLog } from './registry-log.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');
const block = z.int().min(0);

const server = z.strictObject({
  account: hex32,
  stash: hex32,
  evidence: hex32,
  platform: z.string().regex(/^[0-9a-f]{0,32}$/, 'expected a PPID in hex, or nothing'),
  anchor: hex32.optional(),
});
const registry = z.strictObject({
  block,
  timestampMs: z.int().min(0),
  servers: z.array(server).max(20_000),
  digest: hex32,
});
const part = z.strictObject({ before: hex32, registries: z.array(registry).min(1).max(1024), upTo: block });

// The schemas have checked every digit.
const bytesOf = (hex: string): Uint8Array => tryFromHex(hex) ?? new Uint8Array(0);

/** A part of a log as JSON text, for the store of a node and for other members. */
export const encodeLogPart = (log: LogPart): string =>
  JSON.stringify(log, (_, value: unknown) => (value instanceof Uint8Array ? toHex(value) : value));

/** Reads what {@link encodeLogPart} made. @throws EvidenceError FIELD_INVALID, RING_VIEWS_DIFFER; SyntaxError for no JSON. */
export function decodeLogPart(text: string): RegistryLog {
  const { before, registries, upTo } = parseWire(part, JSON.parse(text), 'registries');
  return RegistryLog.of({
    before: bytesOf(before),
    upTo,
    registries: registries.map(({ servers, digest, ...rest }) => ({
      ...rest,
      digest: bytesOf(digest),
      servers: servers.map(({ account, stash, evidence, platform, anchor }) => ({
        account: AccountId.of(bytesOf(account)),
        stash: AccountId.of(bytesOf(stash)),
        evidence: bytesOf(evidence),
        platform,
        anchor: anchor === undefined ? undefined : BlockHash.of(bytesOf(anchor)),
      })),
    })),
  });
}
