import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import { GRANDPA_ENGINE_ID } from './grandpa/authorities.ts';
import type { Target } from './grandpa/ballot.ts';
import { thresholdOf } from './grandpa/equivocation.ts';
import { encodeHeader } from './header.ts';
import type { Ledger } from './ledger.ts';
import { servedJustification } from './lies/dishonest-justification.ts';
import { invalidParams, type RpcClient, RpcError, type RpcMethods } from './rpc.ts';
import { byteVec, vec } from './scale.ts';

/** Most headers in one proof, as in Substrate. */
const MAX_UNKNOWN_HEADERS = 100_000;

const notProved = (why: string): RpcError => new RpcError(4, `GRANDPA prove finality rpc failed: ${why}`);

function unknownHeaders(ledger: Ledger, from: number, to: number): Uint8Array[] {
  const headers: Uint8Array[] = [];
  for (let number = from; number <= to && headers.length < MAX_UNKNOWN_HEADERS; number += 1) {
    const header = ledger.header(ledger.hashOf(number) ?? '');
    if (header === undefined) throw notProved(`Header of block ${number} was pruned`);
    headers.push(encodeHeader(header));
  }
  return headers;
}

/** SCALE FinalityProof: block, justification, headers from behind the asked block to that one. */
function finalityProof(
  ledger: Ledger,
  number: number,
  { hash, number: last }: Target,
  justification: Uint8Array,
): string {
  const headers = vec(unknownHeaders(ledger, number + 1, last));
  return toPrefixedHex(concatBytes(tryFromHex(hash) ?? new Uint8Array(0), byteVec(justification), headers));
}

function proveFinality(ledger: Ledger, number: unknown, client: RpcClient): string | null {
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0)
    throw invalidParams('block number');
  if (number > ledger.finalized.number) throw notProved('Block not yet finalized');
  const ballot = ledger.finality.covering(number);
  const served = ballot && servedJustification(ballot, client.lies.told(), ledger);
  return served === undefined ? null : finalityProof(ledger, number, served.ballot.target, served.bytes);
}

function roundState({ finality: { round, set } }: Ledger): object {
  const total = set.authorities.length;
  const votes = { currentWeight: 0, missing: [] };
  const best = { round: round + 1, totalWeight: total, thresholdWeight: thresholdOf(total) };
  return { setId: set.id, best: { ...best, prevotes: votes, precommits: votes }, background: [] };
}

/** The justifications that a block keeps, as chain_getBlock shows them: [[engine id, bytes]], both as lists of numbers. */
export function keptJustifications(
  ledger: Ledger,
  number: number,
  client: RpcClient,
): [number[], number[]][] | null {
  const ballot = ledger.finality.keptWith(number);
  const served = ballot && servedJustification(ballot, client.lies.told(), ledger);
  return served === undefined ? null : [[[...utf8(GRANDPA_ENGINE_ID)], [...served.bytes]]];
}

/** Methods about finality: proofs for old blocks, and justifications of new ones. */
export function grandpaMethods(ledger: Ledger): RpcMethods {
  return {
    grandpa_proveFinality: ([number], client) => proveFinality(ledger, number, client),
    grandpa_roundState: () => roundState(ledger),
    grandpa_subscribeJustifications: (_params, client) =>
      client.subscribe('grandpa_justifications', (notify) =>
        ledger.listen({
          best: () => undefined,
          finalized: () => {
            const ballot = ledger.finality.latest;
            const served = ballot && servedJustification(ballot, client.lies.told(), ledger);
            if (served !== undefined) notify(toPrefixedHex(served.bytes));
          },
        }),
      ),
    grandpa_unsubscribeJustifications: ([id], client) => client.unsubscribe(id),
  };
}
