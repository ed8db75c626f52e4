import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { MAX_PASSWORD_BYTES, passwordFromFile } from '../../store/keys/password.ts';
import { readUserFile } from './user-file.ts';

/** Runs a task with the password of a file, and wipes it. @throws ProblemError STORE_FILE_UNREADABLE. */
export async function withPassword<T>(path: string, task: (password: SecretBytes) => Promise<T>): Promise<T> {
  const bytes = await readUserFile(path, 'password-file', MAX_PASSWORD_BYTES + 2);
  let password: SecretBytes | undefined;
  try {
    password = passwordFromFile(bytes);
    return await task(password);
  } finally {
    bytes.fill(0);
    password?.wipe();
  }
}
