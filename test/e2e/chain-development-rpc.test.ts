import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DevelopmentChain, startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { toBase64 } from '../../src/bytes/base64.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { type JsonRpcSocket, openJsonRpcSocket } from '../../src/chain/json-rpc-socket.ts';
import { connectChain, type PolkadotChainView } from '../../src/chain/polkadot-chain-view.ts';
import { eventually, quickOptions, serverRecord } from '../support/chain-fixtures.ts';

let chain: DevelopmentChain;
let socket: JsonRpcSocket;
let view: PolkadotChainView | undefined;

beforeEach(async () => {
  chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1 });
  socket = await openJsonRpcSocket({
    endpoint: chain.url,
    connectDeadlineMs: 10_000,
    requestDeadlineMs: 10_000,
  });
});

afterEach(async () => {
  socket.close('test is over');
  await view?.[Symbol.asyncDispose]();
  view = undefined;
  await chain.close();
});

const server = serverRecord(1);
const registration = {
  stash: toPrefixedHex(server.stash),
  account: encodeSs58(server.account),
  x25519PublicKey: toPrefixedHex(server.x25519PublicKey),
  endpoint: server.endpoint,
  quote: toBase64(server.quote),
};

async function servers() {
  await socket.request('dev_newBlock', [2]);
  view ??= await connectChain(quickOptions(chain.url));
  const current = view;
  return await eventually(async () => {
    const snapshot = await current.snapshot();
    return snapshot.block.number === chain.finalized().number ? snapshot.servers : undefined;
  });
}

describe('development RPCs', () => {
  it('servers can be registered, replaced, activated, signed for and removed', async () => {
    expect(await socket.request('dev_registerServer', [registration])).toEqual({ block: 1 });
    expect(await servers()).toEqual([server]);

    await socket.request('dev_setSigners', [[registration.stash]]);
    await socket.request('dev_setActive', [{ stash: registration.stash, active: false }]);
    expect(await servers()).toEqual([{ ...server, active: false, signer: true }]);

    // Registering again moves the server and leaves the sets as they are.
    await socket.request('dev_registerServer', [{ ...registration, endpoint: 'moved:1', quote: '0x0102' }]);
    const moved = { ...server, endpoint: 'moved:1', quote: Uint8Array.of(1, 2) };
    expect(await servers()).toEqual([{ ...moved, active: false, signer: true }]);

    await socket.request('dev_removeServer', [{ stash: registration.stash }]);
    expect(await servers()).toEqual([]);
  });

  it('the accepted measurements can be set', async () => {
    const measurement = `0x${'ab'.repeat(32)}`;
    await socket.request('dev_setAcceptedMeasurements', [[measurement]]);
    await servers();
    const snapshot = await view?.snapshot();
    expect(snapshot?.acceptedMeasurements.map(toPrefixedHex)).toEqual([measurement]);
  });

  it.each([
    ['an unknown field', 'dev_registerServer', [{ ...registration, extra: 1 }]],
    ['a missing field', 'dev_registerServer', [{ stash: registration.stash }]],
    ['a short key', 'dev_registerServer', [{ ...registration, x25519PublicKey: '0x00' }]],
    ['a mistyped account', 'dev_registerServer', [{ ...registration, account: '5Grwva' }]],
    ['an endpoint of 101 bytes', 'dev_registerServer', [{ ...registration, endpoint: 'x'.repeat(101) }]],
    ['a quote in neither form', 'dev_registerServer', [{ ...registration, quote: '***' }]],
    ['no parameters', 'dev_registerServer', []],
    ['a flag that is none', 'dev_setActive', [{ stash: registration.stash, active: 'yes' }]],
    ['a shape that nobody knows', 'dev_upgradeRuntime', [{ shape: 'other' }]],
    ['an undo of final blocks', 'dev_reorganize', [5]],
    ['a method that is not there', 'dev_everything', []],
    ['a name from the prototype', 'constructor', []],
    ['a page of no keys', 'state_getKeysPaged', ['0x', 0]],
    ['state of an unknown block', 'state_getStorage', ['0x00', `0x${'00'.repeat(32)}`]],
  ])('%s is refused', async (_name, method, params) => {
    const before = chain.best();
    await expect(socket.request(method, params)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    expect(chain.best()).toEqual(before);
    expect(await socket.request('system_chain', [])).toBe('Latchkey Development');
  });

  it('connections can be cut, and the chain can stay silent for a while', async () => {
    await socket.request('dev_dropConnections', []);
    await socket.ended;
    socket = await openJsonRpcSocket({
      endpoint: chain.url,
      connectDeadlineMs: 10_000,
      requestDeadlineMs: 300,
    });
    await socket.request('dev_goSilent', [600]);
    await expect(socket.request('system_chain', [])).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    await eventually(() => socket.request('system_chain', []).catch(() => undefined));
  });
});
