import { type ChildProcess, spawn } from 'node:child_process';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { concatBytes } from '../bytes/concat.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { type Clock, systemClock } from '../time/clock.ts';
import { startTimer } from '../time/timer.ts';
import { parseDecoderAnswer } from './decoder-answer.ts';
import { type DecoderAnswer, MAX_ANSWER_BYTES, MAX_METADATA_BYTES } from './runtime-layout.ts';

/** V8's own bound; honest metadata of half a megabyte needs 50 MiB. Where it is reached, V8 aborts the process. */
const MAX_HEAP_MIB = 192;
/** Of the whole process, with what lies outside of the heap; with honest metadata it has 135 MiB. */
const MAX_RSS_BYTES = 352 * 1024 * 1024;
/** Honest metadata takes one to five seconds, however busy the machine is; the deadline is for busy machines. */
const MAX_CPU_MS = 30_000;
const ANSWER_FD = 3;

/**
 * The program of the decoder process. For sources (tests, scripts under tsx) it is the built one too, because loading
 * the library as TypeScript takes seconds; vitest builds first when that one is older than its sources.
 */
const builtProgram = fileURLToPath(
  import.meta.url.endsWith('.ts')
    ? new URL('../../dist/src/chain/decoder/main.js', import.meta.url)
    : new URL('./decoder/main.js', import.meta.url),
);

/** How a decoder process is started. */
export interface DecoderProcessOptions {
  /** Milliseconds from {@link DecoderProcess.decode} to the answer. */
  readonly deadlineMs: number;
  /** For the deadline; the system's by default. */
  readonly clock?: Clock;
  /** Most resident memory of the process; only tests have another bound than the one here. */
  readonly maxRssBytes?: number;
  /** Most processor time of the process; only tests have another bound than the one here. */
  readonly maxCpuMs?: number;
  /** Another program, for tests of how badly one can behave. */
  readonly program?: string;
}

/** A process that decodes one metadata and then ends. */
export interface DecoderProcess {
  /** For tests and nothing else. */
  readonly pid: number | undefined;
  /** Whether it has not ended yet. */
  readonly isRunning: boolean;
  /**
   * Hands over the metadata; once only.
   * @throws ProblemError CHAIN_UNAVAILABLE when the process did not start, ends, is late or answers nonsense.
   */
  decode(metadata: Uint8Array): Promise<DecoderAnswer>;
  /** Ends it by SIGKILL, at once. */
  kill(reason: string): void;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
}

const failed = (why: string): ProblemError =>
  new ProblemError('CHAIN_UNAVAILABLE', `the endpoint's metadata could not be decoded: ${why}`, {
    hint: 'Honest metadata takes a second and 150 MB: the endpoint is broken or hostile, or the machine is too busy.',
  });

function spawnDecoder(options: DecoderProcessOptions): ChildProcess {
  const { deadlineMs, maxCpuMs = MAX_CPU_MS, maxRssBytes = MAX_RSS_BYTES, program = builtProgram } = options;
  const flags = [`--max-old-space-size=${MAX_HEAP_MIB}`, '--max-semi-space-size=16', '--no-warnings'];
  const limits = [deadlineMs, maxRssBytes, maxCpuMs].map(String);
  return spawn(process.execPath, [...flags, program, ...limits], {
    // Nothing of the node's environment, which may name its files, and none of its descriptors.
    env: {},
    cwd: '/',
    // The library prints warnings, so the answer has a pipe of its own.
    stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
  });
}

/** Collects the answer; what comes beyond the bound is not kept. */
function collect(pipe: Readable, onTooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  pipe.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_ANSWER_BYTES) chunks.push(chunk);
    else onTooMuch();
  });
  return () => Buffer.concat(chunks).toString();
}

function frame(metadata: Uint8Array): Uint8Array {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, metadata.length, true);
  return concatBytes(head, metadata);
}

/** What stands for a process that the system had no room for. */
const neverStarted = (why: string): DecoderProcess => ({
  pid: undefined,
  isRunning: false,
  decode: async () => {
    throw failed(`the process did not start: ${why}`);
  },
  kill: () => undefined,
  ended: Promise.resolve(),
});

/** Starts a decoder process, which gets ready while its metadata is still being fetched. Does not throw. */
export function startDecoderProcess(options: DecoderProcessOptions): DecoderProcess {
  let child: ChildProcess;
  try {
    child = spawnDecoder(options);
  } catch (error) {
    // Of some failures, such as too little memory, Node tells by throwing; of others by an event.
    return neverStarted(String(error));
  }
  let reason: string | undefined;
  // Before anything else: an 'error' without listener would end the node.
  child.on('error', (error) => {
    reason ??= `the process did not start: ${error.message}`;
  });
  // Missing, against its type, when there were no descriptors left for pipes.
  const pipes: readonly unknown[] = child.stdio ?? [];
  const [input, output] = [pipes[0], pipes[ANSWER_FD]];
  if (!(input instanceof Writable && output instanceof Readable)) return neverStarted('no pipes');
  let giveUp: () => void = () => undefined;
  const given = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  const kill = (why: string): void => {
    reason ??= why;
    child.kill('SIGKILL');
    // Not waited for: the kernel may take its time to end a process.
    giveUp();
  };
  const answerText = collect(output, () => kill('the answer has no end'));
  // What an error of a pipe means shows when the process has ended.
  for (const pipe of [input, output]) pipe.on('error', () => undefined);
  let isRunning = true;
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      isRunning = false;
      resolve();
    };
    child.on('close', end);
    child.on('error', end);
  });

  const answer = (): DecoderAnswer => {
    const { exitCode, signalCode } = child;
    if (reason !== undefined) throw failed(reason);
    if (signalCode !== null)
      throw failed(
        `the process was ended by ${signalCode}, as when it takes too much memory or processor time`,
      );
    if (exitCode !== 0) throw failed(`the process ended with exit code ${exitCode}`);
    try {
      return parseDecoderAnswer(answerText());
    } catch (cause) {
      throw failed(cause instanceof RangeError ? cause.message : 'the answer is no JSON');
    }
  };
  return {
    pid: child.pid,
    get isRunning() {
      return isRunning;
    },
    async decode(metadata) {
      if (metadata.length > MAX_METADATA_BYTES) throw failed(`it has ${metadata.length} bytes`);
      const { clock = systemClock, deadlineMs } = options;
      const timer = startTimer(clock, deadlineMs, () => kill(`no answer within ${deadlineMs} ms`));
      // The pipe stays open: the process ends itself when it closes.
      input.write(frame(metadata));
      await Promise.race([ended, given]);
      timer.stop();
      return answer();
    },
    kill,
    ended,
  };
}
