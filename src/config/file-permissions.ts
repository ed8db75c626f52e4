import { stat } from 'node:fs/promises';

/** A shorter password is found by trying; the store slows each attempt down, and does not prevent it. */
const MIN_GOOD_PASSWORD_BYTES = 12;

/**
 * Warns about a file of a secret that others can read or write.
 * @param key names the file in the configuration.
 */
export async function permissionWarnings(key: string, path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || (found.mode & 0o077) === 0) return [];
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  return [`${key}: ${path} has mode ${mode}, so other users can read or change it; chmod 600 ${path}`];
}

/** Warns about a password that is easy to guess, by its length in bytes. */
export function passwordWarnings(key: string, bytes: number): readonly string[] {
  if (bytes >= MIN_GOOD_PASSWORD_BYTES) return [];
  return [`${key}: the password has ${bytes} bytes; use ${MIN_GOOD_PASSWORD_BYTES} or more`];
}
