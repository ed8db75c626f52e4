import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/schema.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { parseConfig, readText } from '../shared/config-options.ts';

/** Between two looks at a file that may be written, in milliseconds, and how many there are. */
const LOOK_AGAIN_MS = 250;
const LOOKS = 20;

/**
 * Reads a configuration file that somebody may be writing at this moment: waits until two looks show the same, and
 * takes none with a last line that does not end. Part of a file can be a valid configuration with other settings.
 * @throws ProblemError CONFIG_INVALID.
 */
export async function readConfigAgain(path: string): Promise<Config> {
  let text = await readText(path);
  for (let look = 1; look < LOOKS; look++) {
    await sleep(LOOK_AGAIN_MS);
    const now = await readText(path);
    if (now === text) return parseConfig(whole(text, path), path);
    text = now;
  }
  throw unfinished(path, 'it changes all the time');
}

function whole(text: string, path: string): string {
  if (!text.endsWith('\n')) throw unfinished(path, 'its last line does not end');
  return text;
}

const unfinished = (path: string, why: string): ProblemError =>
  new ProblemError('CONFIG_INVALID', `${path} looks half written: ${why}`, {
    field: path,
    hint: 'write to another file, end it with a new line, and rename it into place',
  });
