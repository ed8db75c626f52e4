import { readFile } from 'node:fs/promises';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { Config } from './schema.ts';

/** Secrets from files that the configuration names. They have their own type, so that printing a configuration
 * cannot show them. */
export interface Secrets {
  /** Of `decryptions.writeAuthorization` with `kind: bearer`. */
  readonly decryptionsWriteToken?: SecretBytes;
}

/** A shorter token could be guessed. */
const MIN_TOKEN_BYTES = 16;
const MAX_TOKEN_BYTES = 4096;
const NEWLINES = new Set([0x0a, 0x0d]);

/**
 * Reads every secret that a configuration names; final newlines of a file are ignored.
 * @param read gives a file's bytes.
 * @throws ProblemError CONFIG_INVALID naming the key; its file is missing, unreadable, too short or too long.
 */
export async function readSecrets(
  { decryptions }: Config,
  read: (path: string) => Promise<Uint8Array> = (path) => readFile(path),
): Promise<Secrets> {
  const authorization = decryptions?.writeAuthorization;
  if (authorization?.kind !== 'bearer') return {};
  const place = 'decryptions.writeAuthorization.tokenFile';
  return { decryptionsWriteToken: await readToken(authorization.tokenFile, place, read) };
}

async function readToken(
  path: string,
  place: string,
  read: (path: string) => Promise<Uint8Array>,
): Promise<SecretBytes> {
  let bytes: Uint8Array;
  try {
    bytes = await read(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProblemError('CONFIG_INVALID', `${place}: cannot read the token: ${reason}`, {
      field: place,
      cause,
    });
  }
  const end = bytes.findLastIndex((byte) => !NEWLINES.has(byte)) + 1;
  const token = new SecretBytes(bytes.subarray(0, end));
  bytes.fill(0);
  if (end >= MIN_TOKEN_BYTES && end <= MAX_TOKEN_BYTES) return token;
  token.wipe();
  throw new ProblemError('CONFIG_INVALID', `${place}: the token in ${path} has ${end} bytes`, {
    field: place,
    expected: `${MIN_TOKEN_BYTES} to ${MAX_TOKEN_BYTES} bytes`,
    observed: `${end} bytes`,
  });
}

/** Wipes all of them. */
export function wipeSecrets({ decryptionsWriteToken }: Secrets): void {
  decryptionsWriteToken?.wipe();
}
