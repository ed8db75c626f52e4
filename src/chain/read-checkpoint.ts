import { AccountId } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { checkHeader, findBlock } from './finalized-state.ts';
import { type JsonRpcSocketOptions, openJsonRpcSocket } from './json-rpc-socket.ts';
import { ProofReader } from './proof/proof-reader.ts';
import { hashAnswer, headerNumber, hexAnswer } from './rpc-values.ts';

/** A checkpoint as the trust section has it. */
export interface CheckpointText {
  readonly blockNumber: number;
  /** `0x` hex of 32 bytes. */
  readonly blockHash: string;
  readonly authoritySetId: number;
  /** `0x` hex of 32 bytes each, ascending. */
  readonly authorities: readonly string[];
}

/** The chain of a node, and a checkpoint of it. */
export interface ReadCheckpoint {
  /** `0x` hex of 32 bytes. */
  readonly genesisHash: string;
  readonly checkpoint: CheckpointText;
}

/** Public key and weight. */
const AUTHORITY_BYTES = AccountId.byteLength + 8;

function authoritiesOf(answer: unknown): readonly string[] {
  const reader = new ProofReader(hexAnswer(answer, 'authorities'), 'authorities');
  const keys = Array.from({ length: reader.count(AUTHORITY_BYTES, 'authorities') }, () => {
    const key = toPrefixedHex(reader.take(AccountId.byteLength, 'authority'));
    const weight = reader.u64('weight');
    // What a checkpoint cannot say must not be lost in it.
    if (weight !== 1n) reader.fail('weight', '1, as Substrate’s pallets give it', String(weight));
    return key;
  });
  reader.end();
  if (keys.length === 0) reader.fail('authorities', 'at least one', 'none');
  // Listed twice it weighs twice.
  if (new Set(keys).size < keys.length) reader.fail('authorities', 'each once', 'one of them twice');
  return keys.sort();
}

function setIdOf(answer: unknown): number {
  const reader = new ProofReader(hexAnswer(answer, 'set id'), 'authority set id');
  const id = reader.u64('id');
  reader.end();
  if (id > BigInt(Number.MAX_SAFE_INTEGER)) reader.fail('id', 'below 2^53', String(id));
  return Number(id);
}

/**
 * Reads a checkpoint from a node that is believed: a finalized block and the authorities in office after it.
 * @param block number of a finalized block; the newest by default. Older ones need a node that has kept their state.
 * @throws ProblemError CHAIN_UNAVAILABLE; EvidenceError CHAIN_PROOF_INVALID on authorities that do not decode.
 */
export async function readCheckpoint(options: JsonRpcSocketOptions, block?: number): Promise<ReadCheckpoint> {
  const socket = await openJsonRpcSocket(options);
  try {
    const head = hashAnswer(await socket.request('chain_getFinalizedHead', []), 'finalized head');
    const newest = headerNumber(await socket.request('chain_getHeader', [toPrefixedHex(head)]));
    if (block !== undefined && block > newest)
      throw new ProblemError('CHAIN_UNAVAILABLE', `block ${block} is not final yet`, {
        expected: `a block up to ${newest}`,
        observed: `${block}`,
      });
    const reference = await findBlock(socket, block ?? newest);
    checkHeader(reference);
    const at = toPrefixedHex(reference.hash);
    const call = (method: string): Promise<unknown> => socket.request('state_call', [method, '0x', at]);
    const setId = setIdOf(await call('GrandpaApi_current_set_id'));
    const genesis = hashAnswer(await socket.request('chain_getBlockHash', [0]), 'genesis hash');
    const checkpoint = {
      blockNumber: reference.number,
      blockHash: at,
      authoritySetId: setId,
      authorities: authoritiesOf(await call('GrandpaApi_grandpa_authorities')),
    };
    return { genesisHash: toPrefixedHex(genesis), checkpoint };
  } finally {
    socket.close('done');
  }
}
