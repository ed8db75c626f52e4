import { z } from 'zod';
import { tryFromHex } from '../bytes/hex.ts';
import { isWeakEd25519Key } from '../crypto/ed25519-zip215.ts';
import { DAY_MS, hexBytes, hexSet, milliseconds } from './section-values.ts';

/** Most keys of one authority: the signatures of all of them fit into one extension of an answer. */
export const MAX_AUTHORITY_KEYS = 16;

/** A key of small order, such as the placeholder of zeros, has signatures that anybody can make. */
const signingKeys = hexSet(32, MAX_AUTHORITY_KEYS)
  .pipe(z.array(z.string()).min(1))
  .refine((keys) => !keys.some((key) => isWeakEd25519Key(tryFromHex(key) ?? new Uint8Array(0))), {
    message: 'must be Ed25519 keys; one of them is a placeholder or no key at all',
  });

/** Who signs: the keys of an authority, and how many of them a manifest needs. */
export const signersFields = {
  id: hexBytes(16),
  threshold: z.int().min(1).max(MAX_AUTHORITY_KEYS),
  keys: signingKeys,
};

const enoughKeys = ({ threshold, keys }: { readonly threshold: number; readonly keys: readonly string[] }) =>
  threshold <= keys.length;
const tooFewKeys = { path: ['threshold'], message: 'must be at most the number of different keys' };

/** The authority that may sign fleet manifests, as the trust section names it. */
export const authoritySchema = z
  .strictObject({
    ...signersFields,
    /** Manifests below it are refused: a machine that starts with this section has seen that one. */
    minimumSerial: z.int().min(1).default(1),
    /** How long people have to notice a manifest and to revoke it, before what it permits takes effect. */
    delayMs: milliseconds(0, 365 * DAY_MS).default(DAY_MS),
  })
  .refine(enoughKeys, tooFewKeys);

/** An authority that another one hands over to. */
export const successorSchema = z.strictObject(signersFields).refine(enoughKeys, tooFewKeys);

/** Keys as `0x` hex of 32 bytes, ascending; `id` as `0x` hex of 16 bytes. */
export type FleetAuthority = z.output<typeof authoritySchema>;
/** The keys of an authority and its threshold. */
export type FleetSigners = z.output<typeof successorSchema>;
