import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { concatBytes } from '../../bytes/concat.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { exitCodes, reportFailure } from '../shared/failure.ts';

/** The three streams and the exit code of a store command. Tests replace them. */
export interface StoreIo {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Whether each stream is a terminal, with a person behind it. */
  readonly terminal: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  exit(code: number): void;
}

/** The process's own streams. */
export function processIo(): StoreIo {
  process.stdout.on('error', (cause: NodeJS.ErrnoException) => {
    const observed = cause.code ?? 'unwritable';
    // A reader that goes away, as `head` does, is no defect; what it did not read was not delivered.
    if (observed !== 'EPIPE')
      reportFailure(
        new ProblemError('STORE_FILE_UNWRITABLE', `the output: ${observed}`, {
          field: 'stdout',
          observed,
          cause,
        }),
      );
    process.exit(exitCodes.failed);
  });
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    terminal: {
      stdin: process.stdin.isTTY === true,
      stdout: process.stdout.isTTY === true,
      stderr: process.stderr.isTTY === true,
    },
    exit: (code) => {
      process.exitCode = code;
    },
  };
}

/** For each stream with a slow reader: a promise that all waiting writers share, until the reader has caught up. */
const draining = new WeakMap<Writable, Promise<unknown>>();

/** Writes and, when the reader is slow, waits until it has caught up. */
export async function print(stream: Writable, text: string | Uint8Array): Promise<void> {
  if (stream.write(text)) return;
  const drained = draining.get(stream) ?? once(stream, 'drain').finally(() => draining.delete(stream));
  draining.set(stream, drained);
  await drained;
}

/** All bytes of a stream; gives up as soon as there are more than `maxBytes`. */
export async function readAll(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of stream) {
      parts.push(part);
      length += part.length;
      // One byte more than allowed is enough for the store to refuse it by its own limit.
      if (length > maxBytes) break;
    }
    return concatBytes(...parts);
  } finally {
    // A password may be in them, also in those of a stream that broke off.
    for (const part of parts) part.fill(0);
  }
}

/** The first line of a stream, at most about a kilobyte. */
export async function readLine(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const part of stream) {
    text += Buffer.from(part).toString();
    if (text.includes('\n') || text.length > 1024) break;
  }
  return text.split('\n')[0] ?? '';
}
