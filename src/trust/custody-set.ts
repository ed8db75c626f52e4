import { z } from 'zod';
import { concatBytes, utf8 } from '../bytes/concat.ts';
import { tryFromHex } from '../bytes/hex.ts';
import { sha256 } from '../crypto/sha2.ts';
import { isXWingPublicKey, X_WING_PUBLIC_KEY_BYTES } from '../crypto/x-wing.ts';
import { checkedHex } from './section-values.ts';

const DIGEST_LABEL = utf8('latchkey/v1/custody/custodians');
/** Most custodians of a fleet. */
export const MAX_CUSTODIANS = 16;

/** The schema of a custodian's name. It holds before any MAC is checked, because tools show the name to people. */
export const custodianNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,31}$/, 'must be 1 to 32 of a-z, 0-9, dot, dash, underscore');

const custodianSchema = z.strictObject({
  name: custodianNameSchema,
  key: z
    .string()
    .regex(
      new RegExp(`^0x[0-9a-fA-F]{${2 * X_WING_PUBLIC_KEY_BYTES}}$`),
      `must be 0x and ${2 * X_WING_PUBLIC_KEY_BYTES} hex digits, as \`latchkey custody keygen\` prints them`,
    )
    // Under a key that nothing can be sealed to, no node could make slots any more.
    .refine(isUsableKey, 'must be the key of a custodian: a digit is wrong')
    .transform((text) => text.toLowerCase()),
});

/** Text that is no hex at all is named by the check before, after which zod still asks this one. */
function isUsableKey(text: string): boolean {
  const bytes = tryFromHex(text);
  return bytes === undefined || isXWingPublicKey(bytes);
}

const isUnique = (values: readonly string[]): boolean => new Set(values).size === values.length;

/** The schema of `trust.custody`. The order of the custodians has no meaning, so it does not change the trust hash. */
export const custodySchema = z
  .strictObject({
    // One custodian alone would have every store.
    threshold: z.int().min(2).max(MAX_CUSTODIANS),
    custodians: z
      .array(custodianSchema)
      .min(2)
      .max(MAX_CUSTODIANS)
      .transform((list) => list.toSorted((a, b) => (a.name < b.name ? -1 : 1))),
  })
  .refine(({ threshold, custodians }) => threshold <= custodians.length, {
    path: ['threshold'],
    message: 'must be at most the number of custodians',
  })
  .refine(({ custodians }) => isUnique(custodians.map(({ name }) => name)), {
    path: ['custodians'],
    message: 'must have different names',
  })
  .refine(({ custodians }) => isUnique(custodians.map(({ key }) => key)), {
    path: ['custodians'],
    message: 'must have different keys',
  });

/** One person who keeps a part of every store key. */
export interface Custodian {
  readonly name: string;
  /** 1216 bytes, X-Wing. */
  readonly key: Uint8Array;
}

/** The custodians of a fleet, and how many of them open a store. */
export interface CustodySet {
  /** 2 to the number of custodians. */
  readonly threshold: number;
  /** 2 to {@link MAX_CUSTODIANS}, ascending by name. */
  readonly custodians: readonly Custodian[];
}

/** The custodians of a parsed trust section; `undefined` when it names none. */
export function custodySetOf(section: {
  readonly custody?: z.output<typeof custodySchema> | undefined;
}): CustodySet | undefined {
  if (section.custody === undefined) return undefined;
  const { threshold, custodians } = section.custody;
  return { threshold, custodians: custodians.map(({ name, key }) => ({ name, key: checkedHex(key) })) };
}

/**
 * SHA-256("latchkey/v1/custody/custodians" ‖ threshold ‖ count ‖ (length of the name ‖ name ‖ key)…), numbers of one byte
 * each; 32 bytes.
 */
export const custodySetDigest = ({ threshold, custodians }: CustodySet): Uint8Array =>
  sha256(
    DIGEST_LABEL,
    Uint8Array.of(threshold, custodians.length),
    ...custodians.map(({ name, key }) => concatBytes(Uint8Array.of(utf8(name).length), utf8(name), key)),
  );
