import { readFileSync } from 'node:fs';
import process from 'node:process';
import { allHandlers, BuildBlockMode, GenesisProvider, setup } from '@acala-network/chopsticks-core';
import { WebSocketServer } from 'ws';

/**
 * A genuine Substrate runtime (Rococo's asset hub, from npm) over JSON-RPC, with other metadata in place of its own.
 * Argument: a file with that metadata as `0x` hex. Prints its URL. It has neither read proofs nor GRANDPA.
 */
const metadata = readFileSync(process.argv[2] ?? '', 'utf8').trim();
const { chainSpec } = await import('@substrate/connect-known-chains/rococo_v2_2_asset_hub');
const chain = await setup({
  genesis: new GenesisProvider(JSON.parse(chainSpec)),
  buildBlockMode: BuildBlockMode.Manual,
});
const handlers = { ...allHandlers, state_getMetadata: async () => metadata };

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('connection', (socket) => {
  const cancels = new Map();
  const send = (body) => socket.send(JSON.stringify({ jsonrpc: '2.0', ...body }));
  const subscriptions = {
    subscribe(method, subscription, onCancel = () => undefined) {
      cancels.set(subscription, onCancel);
      return (result) => {
        if (cancels.has(subscription)) send({ method, params: { subscription, result } });
      };
    },
    unsubscribe(subscription) {
      cancels.get(subscription)?.();
      cancels.delete(subscription);
    },
  };
  socket.on('message', async (data) => {
    const { id, method, params = [] } = JSON.parse(String(data));
    try {
      const handler = handlers[method];
      if (handler === undefined)
        throw Object.assign(new Error(`Method not found: ${method}`), { code: -32601 });
      send({ id, result: (await handler({ chain }, params, subscriptions)) ?? null });
    } catch (error) {
      send({ id, error: { code: error.code ?? -32603, message: error.message } });
    }
  });
  socket.on('close', () => {
    for (const subscription of [...cancels.keys()]) subscriptions.unsubscribe(subscription);
  });
});
server.once('listening', () => console.log(`ws://127.0.0.1:${server.address().port}`));
