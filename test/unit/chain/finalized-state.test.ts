import { describe, expect, it } from 'vitest';
import { BlockHash } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { readFinalizedState } from '../../../src/chain/finalized-state.ts';
import type { JsonRpcSocket } from '../../../src/chain/json-rpc-socket.ts';
import { storageItems } from '../../../src/chain/storage-keys.ts';

const at = BlockHash.of(new Uint8Array(32).fill(3));
const { prefix } = storageItems.thresholdServers;

/** An endpoint with `count` servers; every value has `valueBytes` bytes, the end of every key `keyBytes` bytes. */
function endpoint(count: number, valueBytes: number, keyBytes = 48) {
  const keys = Array.from(
    { length: count },
    (_, index) =>
      prefix +
      index
        .toString(16)
        .padStart(8, '0')
        .padEnd(2 * keyBytes, '0'),
  );
  const value = `0x${'ab'.repeat(valueBytes)}`;
  let asked = 0;
  const request: JsonRpcSocket['request'] = async (method, params) => {
    asked++;
    if (method === 'state_getKeysPaged') {
      const after = params[2] === null ? 0 : keys.indexOf(String(params[2])) + 1;
      return keys.slice(after, after + Number(params[1]));
    }
    const wanted = Array.isArray(params[0]) ? params[0] : [];
    return [{ block: toPrefixedHex(at), changes: wanted.map((key) => [key, value]) }];
  };
  const socket: JsonRpcSocket = {
    request,
    subscribe: async () => undefined,
    ended: new Promise(() => undefined),
    close: () => undefined,
  };
  return { socket, asked: () => asked };
}

const read = ({ socket }: { socket: JsonRpcSocket }, maxBytes?: number) =>
  readFinalizedState(socket, at, Uint8Array.of(0), undefined, maxBytes);

describe('the size of the answers for one snapshot', () => {
  it('may be that of a large network: thousands of records with their quotes', async () => {
    const { thresholdServers } = await read(endpoint(2_000, 6_000));
    expect(thresholdServers).toHaveLength(2_000);
  });

  it('is bounded in total, for keys and values together', async () => {
    const large = endpoint(2_000, 100_000);
    await expect(read(large, 10_000_000)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    // Eight pages of keys, and only as many values as the limit allows.
    expect(large.asked()).toBeLessThan(8 + 4);
    const long = endpoint(2_000, 1, 50_000);
    await expect(read(long, 10_000_000)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    expect(long.asked()).toBe(1);
  });
});
