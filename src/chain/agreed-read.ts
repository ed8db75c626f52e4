import { equalBytes } from '../bytes/concat.ts';
import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import type { Clock } from '../time/clock.ts';
import { startTimer } from '../time/timer.ts';
import { agree } from './agreement.ts';
import type { ChainConnection } from './chain-connection.ts';
import type { ChainSource } from './chain-source.ts';
import type { ChainSnapshot } from './chain-view.ts';

/** The input of a read. */
export interface AgreedReadOptions {
  readonly sources: readonly ChainSource[];
  readonly agreement: number;
  readonly genesisHash: BlockHash | undefined;
  /** For all of one endpoint's answers to one read, in milliseconds. */
  readonly readDeadlineMs: number;
  readonly clock: Clock;
  /** The newest snapshot so far; the new one must be of the same history and not older. */
  readonly previous: ChainSnapshot | undefined;
}

interface Candidate {
  readonly source: ChainSource;
  readonly connection: ChainConnection;
  readonly finalizedNumber: number;
}

function candidatesOf({ sources, genesisHash }: AgreedReadOptions): readonly Candidate[] {
  return sources.flatMap((source) => {
    if (source.live === undefined) return [];
    const { connection, finalizedNumber } = source.live;
    if (genesisHash !== undefined && !equalBytes(connection.genesisHash, genesisHash)) {
      // Connected before the chain's genesis was known; the next attempt reports the mismatch.
      source.restart('another chain');
      return [];
    }
    return [{ source, connection, finalizedNumber }];
  });
}

/** The error when no read can begin: too few endpoints are connected and have reported a finalized head. */
export function tooFewEndpoints(sources: readonly ChainSource[], needed: number): ProblemError {
  const ready = sources.filter(({ live }) => live !== undefined).length;
  const obstacles = sources.flatMap(({ obstacle }) => obstacle ?? []);
  const failures = sources.flatMap(({ failure }) => failure ?? []);
  return new ProblemError(
    'CHAIN_UNAVAILABLE',
    `${ready} of ${needed} needed endpoints can be read: ${obstacles.join('; ')}`,
    { cause: failures[0] },
  );
}

const historyChanged = (name: string, previous: ChainSnapshot, observed: BlockHash): ProblemError =>
  new ProblemError(
    'CHAIN_DISAGREEMENT',
    `${name} has another block ${previous.block.number} than the finalized one that was read before`,
    {
      expected: toPrefixedHex(previous.block.hash),
      observed: toPrefixedHex(observed),
      hint: 'Finalized blocks never change: the endpoint follows a fork, was reset, or lies.',
    },
  );

/** Reads one endpoint, after checking that its history contains what was read before. */
async function readFrom(
  { source, connection }: Candidate,
  number: number,
  previous: ChainSnapshot | undefined,
): Promise<ChainSnapshot> {
  if (previous !== undefined) {
    const hash = await connection.blockHash(previous.block.number);
    if (!equalBytes(hash, previous.block.hash)) throw historyChanged(source.name, previous, hash);
  }
  return await connection.readAt(number);
}

const behind = (number: number, previous: ChainSnapshot): ProblemError =>
  new ProblemError(
    'CHAIN_UNAVAILABLE',
    `the endpoints' finalized block ${number} is older than block ${previous.block.number}, which was read before`,
    { expected: `block ${previous.block.number} or newer`, observed: `block ${number}` },
  );

/** The most telling of several failures: one that is not just an endpoint being away. */
function worst(failures: readonly unknown[]): unknown {
  return (
    failures.find((error) => error instanceof LatchkeyError && error.code !== 'CHAIN_UNAVAILABLE') ??
    failures[0]
  );
}

/** Ends a connection when a read takes too long: each answer may come in time, and the last answer never. */
async function inTime(
  { connection }: Candidate,
  { clock, readDeadlineMs }: AgreedReadOptions,
  reading: Promise<ChainSnapshot>,
): Promise<ChainSnapshot> {
  const timer = startTimer(clock, readDeadlineMs, () =>
    connection.close(`a read took more than ${readDeadlineMs} ms`),
  );
  try {
    return await reading;
  } finally {
    timer.stop();
  }
}

/**
 * One endpoint after another, those first that kept their word and then the most advanced, until one can be read at
 * the block that it calls final. Where blocks must be proven, some only prove an older one: the newest of those, if
 * there is nothing better.
 */
async function readFromAny(
  candidates: readonly Candidate[],
  options: AgreedReadOptions,
): Promise<ChainSnapshot> {
  const { previous } = options;
  const failures: unknown[] = [];
  let best: ChainSnapshot | undefined;
  for (const candidate of candidates) {
    const { finalizedNumber } = candidate;
    try {
      if (previous !== undefined && finalizedNumber < previous.block.number) {
        throw behind(finalizedNumber, previous);
      }
      const snapshot = await inTime(candidate, options, readFrom(candidate, finalizedNumber, previous));
      candidate.source.isDoubted = snapshot.block.number < finalizedNumber;
      if (!candidate.source.isDoubted) return snapshot;
      if (best === undefined || snapshot.block.number > best.block.number) best = snapshot;
    } catch (error) {
      candidate.source.isDoubted = true;
      failures.push(error);
    }
  }
  if (best !== undefined) return best;
  throw worst(failures);
}

/** All endpoints at once, at the newest block that enough of them call finalized. */
async function readFromSeveral(
  candidates: readonly Candidate[],
  agreement: number,
  previous: ChainSnapshot | undefined,
): Promise<ChainSnapshot> {
  const number = candidates[agreement - 1]?.finalizedNumber ?? 0;
  if (previous !== undefined && number < previous.block.number) throw behind(number, previous);
  const able = candidates.filter(({ finalizedNumber }) => finalizedNumber >= number);
  const outcome = await agree(
    able.map((candidate) => readFrom(candidate, number, previous)),
    agreement,
  );
  if (outcome.agreed) return outcome.snapshot;
  if (outcome.answers < agreement) throw worst(outcome.failures);
  throw new ProblemError(
    'CHAIN_DISAGREEMENT',
    `${outcome.answers} endpoints give ${outcome.versions} versions of finalized block ${number}; ${agreement} must agree`,
    { expected: `the same from ${agreement} endpoints`, observed: `${outcome.versions} versions` },
  );
}

/**
 * Reads the newest finalized snapshot that enough endpoints agree on. Never an older block than before, and never
 * another history.
 * @throws ProblemError CHAIN_UNAVAILABLE, CHAIN_GENESIS_MISMATCH, CHAIN_SHAPE_UNKNOWN or CHAIN_DISAGREEMENT.
 */
export async function readAgreedSnapshot(options: AgreedReadOptions): Promise<ChainSnapshot> {
  const { agreement, previous, sources } = options;
  const candidates = [...candidatesOf(options)].sort((a, b) => b.finalizedNumber - a.finalizedNumber);
  // A false claim costs an endpoint nothing, so endpoints that claimed too much are asked last.
  const inTurn = candidates.toSorted((a, b) => Number(a.source.isDoubted) - Number(b.source.isDoubted));
  if (candidates.length < agreement) throw tooFewEndpoints(sources, agreement);
  return agreement === 1
    ? await readFromAny(inTurn, options)
    : await readFromSeveral(candidates, agreement, previous);
}

/**
 * Reads the snapshot at exactly one finalized block, by proof, from any endpoint that has its state.
 * @throws ProblemError CHAIN_UNAVAILABLE, which says why when no endpoint has it; EvidenceError of a proof.
 */
export async function readProvenSnapshot(options: AgreedReadOptions, number: number): Promise<ChainSnapshot> {
  const failures: unknown[] = [];
  for (const candidate of candidatesOf(options)) {
    const reading = candidate.connection.readAncestor?.(number);
    if (reading === undefined) continue;
    try {
      return await inTime(candidate, options, reading);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 0) throw tooFewEndpoints(options.sources, 1);
  throw worst(failures);
}
