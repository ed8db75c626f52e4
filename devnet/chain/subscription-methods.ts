import type { Block } from './block.ts';
import type { Ledger, LedgerEvents } from './ledger.ts';
import { type RpcMethod, type RpcMethods, textsParam } from './rpc.ts';
import { runtimeVersion } from './runtime-versions.ts';

const ignore = (): void => undefined;

/** A subscription to heads: the present one at once, then each new one. */
function heads(ledger: Ledger, notification: string, kind: keyof LedgerEvents): RpcMethod {
  return (_params, client) =>
    client.subscribe(notification, (notify) => {
      const onBlock = (block: Block): void => notify(block.header);
      onBlock(ledger[kind]);
      return ledger.listen({ best: ignore, finalized: ignore, [kind]: onBlock });
    });
}

const changesBetween = (keys: readonly string[], before: Block | undefined, after: Block): unknown[] =>
  keys
    .map((key): [string, string | null] => [key, after.state.get(key.toLowerCase()) ?? null])
    .filter(
      ([key, value]) => before === undefined || (before.state.get(key.toLowerCase()) ?? null) !== value,
    );

/** A subscription to storage: all keys at once, then those that changed in a new best block. */
function storage(ledger: Ledger): RpcMethod {
  return (params, client) => {
    const keys = textsParam(params, 0, 'keys');
    return client.subscribe('state_storage', (notify) => {
      let seen: Block | undefined;
      const onBlock = (block: Block): void => {
        const changes = changesBetween(keys, seen, block);
        if (seen === undefined || changes.length > 0) notify({ block: block.hash, changes });
        seen = block;
      };
      onBlock(ledger.best);
      return ledger.listen({ best: onBlock, finalized: ignore });
    });
  };
}

/** A subscription to the runtime version: the present one at once, then after each upgrade. */
function version(ledger: Ledger): RpcMethod {
  return (_params, client) =>
    client.subscribe('state_runtimeVersion', (notify) => {
      let seen: number | undefined;
      const onBlock = (block: Block): void => {
        if (block.content.specVersion !== seen) notify(runtimeVersion(block));
        seen = block.content.specVersion;
      };
      onBlock(ledger.best);
      return ledger.listen({ best: onBlock, finalized: ignore });
    });
}

/** Methods that start and end subscriptions, by the names that Substrate gives them. */
export function subscriptionMethods(ledger: Ledger): RpcMethods {
  const unsubscribe: RpcMethod = ([id], client) => client.unsubscribe(id);
  const finalized = heads(ledger, 'chain_finalizedHead', 'finalized');
  const best = heads(ledger, 'chain_newHead', 'best');
  return {
    chain_subscribeNewHeads: best,
    chain_subscribeNewHead: best,
    chain_unsubscribeNewHeads: unsubscribe,
    chain_unsubscribeNewHead: unsubscribe,
    chain_subscribeAllHeads: heads(ledger, 'chain_allHead', 'best'),
    chain_unsubscribeAllHeads: unsubscribe,
    chain_subscribeFinalizedHeads: finalized,
    chain_unsubscribeFinalizedHeads: unsubscribe,
    state_subscribeRuntimeVersion: version(ledger),
    state_unsubscribeRuntimeVersion: unsubscribe,
    state_subscribeStorage: storage(ledger),
    state_unsubscribeStorage: unsubscribe,
  };
}
