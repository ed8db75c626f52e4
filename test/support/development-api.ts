import { ApiPromise, WsProvider } from '@polkadot/api';
import type { DevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { tryFromHex } from '../../src/bytes/hex.ts';
import type { JsonRpcSocket } from '../../src/chain/json-rpc-socket.ts';
import { openJsonRpcSocket } from '../../src/chain/json-rpc-socket.ts';

type ProviderOption = NonNullable<NonNullable<Parameters<typeof ApiPromise.create>[0]>['provider']>;

/** The library as anyone would use it: its own provider, no options that help. */
export async function apiOf(chain: DevelopmentChain): Promise<ApiPromise> {
  // Under exactOptionalPropertyTypes the library's own provider does not fit its own interface.
  const provider = new WsProvider(chain.url) as unknown as ProviderOption;
  return await ApiPromise.create({ provider, noInitWarn: true });
}

/** A plain connection, for methods and answers as they are. */
export const plainSocket = (endpoint: string): Promise<JsonRpcSocket> =>
  openJsonRpcSocket({ endpoint, connectDeadlineMs: 10_000, requestDeadlineMs: 10_000 });

/** Bytes of hex that the development chain made. @throws Error when it is none. */
export function hexBytes(value: unknown): Uint8Array {
  const bytes = typeof value === 'string' ? tryFromHex(value) : undefined;
  if (bytes === undefined) throw new Error(`no hex: ${String(value)}`);
  return bytes;
}
