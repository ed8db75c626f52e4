import { spawn } from 'node:child_process';
import { ProblemError } from '../../errors/latchkey-error.ts';

const MAX_MESSAGE_CHARACTERS = 500;

/** Where the program is looked for. Never the variable of this process, which the host can set. */
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs cryptsetup with a passphrase on its standard input, as bytes: neither an argument nor a file ever holds it.
 * @throws ProblemError LUKS_CRYPTSETUP_FAILED when the program is missing or does not end with 0.
 */
export async function runCryptsetup(
  args: readonly string[],
  passphrase: Uint8Array,
  searchPath = SYSTEM_PATH,
): Promise<void> {
  const child = spawn('cryptsetup', [...args], {
    env: { PATH: searchPath, LC_ALL: 'C' },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let message = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    message = (message + text).slice(0, MAX_MESSAGE_CHARACTERS);
  });
  // A program that ends without reading its input is reported by its exit code.
  child.stdin.on('error', () => undefined);
  child.stdin.end(passphrase);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) => reject(failed(`cannot be started: ${cause.message}`, cause)));
    child.once('close', resolve);
  });
  if (code !== 0) throw failed(`${args[0]} ended with ${code}: ${message.trim()}`);
}

const failed = (detail: string, cause?: unknown): ProblemError =>
  new ProblemError('LUKS_CRYPTSETUP_FAILED', `cryptsetup ${detail}`, {
    hint: 'cryptsetup 2.6 or newer must be installed; mapping a device needs root',
    cause,
  });
