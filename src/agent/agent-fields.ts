import { z } from 'zod';
import { tryFromBase64 } from '../bytes/base64.ts';
import { tryFromHex } from '../bytes/hex.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';

/** Bytes in a body: canonical base64, decoded to a Uint8Array. */
export const base64Bytes = z
  .string()
  .meta({ description: 'canonical base64 (RFC 4648 section 4, padded)', format: 'byte' })
  .transform((text, context) => {
    const bytes = tryFromBase64(text);
    if (bytes !== undefined) return bytes;
    context.addIssue('must be canonical base64 (RFC 4648 section 4, padded)');
    return z.NEVER;
  });

/** Secret bytes in a body, of a given length where one is given; decoded to SecretBytes. */
export const secretBytes = (byteLength?: number) =>
  base64Bytes.transform((bytes, context) => {
    if (byteLength === undefined || bytes.length === byteLength) return SecretBytes.adopt(bytes);
    context.addIssue(`must be ${byteLength} bytes, got ${bytes.length}`);
    return z.NEVER;
  });

/** Bytes in an answer. */
export const base64Text = z.string().meta({ description: 'base64', format: 'byte' });

/** A participant of a DKG in a path or an answer: a 32-byte key. */
export const participant = z
  .string()
  .meta({ description: '32-byte key, 0x and 64 hex digits' })
  .regex(/^0x[0-9a-fA-F]{64}$/, 'must be 0x and 64 hex digits (32 bytes)');

/** A participant of a path as bytes. */
export const participantBytes = participant.transform((text, context) => {
  const bytes = tryFromHex(text);
  if (bytes !== undefined) return bytes;
  context.addIssue('must be 0x and 64 hex digits (32 bytes)');
  return z.NEVER;
});

/** An integer of a path or query, from 0 to 2^53 - 1 or to `most`. */
export const integerText = (most: number = Number.MAX_SAFE_INTEGER) =>
  z
    .string()
    .meta({ type: 'integer', minimum: 0, maximum: most })
    .transform((text, context) => {
      const value = Number(text);
      if (/^(0|[1-9][0-9]{0,15})$/.test(text) && value <= most) return value;
      context.addIssue(`must be an integer from 0 to ${most}`);
      return z.NEVER;
    });

/** An integer of a body, from 0 to 2^53 - 1. */
export const integer = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** A switch of a query. */
export const flagText = z
  .enum(['true', 'false'])
  // The text of a boolean is described as the boolean.
  .meta({ type: 'boolean', enum: [true, false] })
  .transform((text) => text === 'true');

/** The schema of a route without parameters or a body. */
export const nothing = z.strictObject({});
