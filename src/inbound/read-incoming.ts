import type { IncomingMessage } from 'node:http';
import { GatheredBytes } from '../bytes/gathered-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** What takes part in the reading of a body. */
export interface ReadingOptions {
  /** Told of the size of each piece that is kept. */
  readonly onBytes?: (count: number) => void;
  /** Ends the reading, with its reason as the error. */
  readonly signal?: AbortSignal;
}

/**
 * Reads the body of a request, and does not wait for its end once it is longer than allowed. What was read is kept no
 * longer than the reading lasts, also when the connection stays open.
 * @returns `undefined` when the body is longer.
 * @throws EvidenceError BODY_INCOMPLETE, and the reason of the signal.
 */
export function readIncoming(
  incoming: IncomingMessage,
  maxBytes: number,
  { onBytes, signal }: ReadingOptions = {},
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    let gathered: GatheredBytes | undefined = new GatheredBytes(maxBytes);
    const onData = (chunk: Buffer): void => {
      if (gathered?.add(chunk) === false) finish(undefined);
      else onBytes?.(chunk.length);
    };
    const finish = (error: Error | undefined, body?: Uint8Array): void => {
      gathered = undefined;
      incoming.off('data', onData);
      if (error === undefined) resolve(body);
      else reject(error);
    };
    const fail = (cause?: Error): void => {
      const reason = 'the connection ended before the body was complete';
      finish(new EvidenceError('BODY_INCOMPLETE', reason, { cause }));
    };
    incoming.on('data', onData);
    incoming.once('end', () => finish(undefined, gathered?.take()));
    incoming.once('error', fail);
    incoming.once('close', () => fail());
    signal?.addEventListener('abort', () => finish(signal.reason as Error), { once: true });
  });
}
