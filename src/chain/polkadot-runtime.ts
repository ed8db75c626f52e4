import type { ApiPromise } from '@polkadot/api';
import { BlockHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import type { JsonRpcSocket } from './json-rpc-socket.ts';
import { type RuntimeShape, runtimeShape } from './runtime-shape.ts';

/** What @polkadot/api asks of a connection. */
type Provider = NonNullable<NonNullable<ConstructorParameters<typeof ApiPromise>[0]>['provider']>;

/** One version of the runtime, frozen: its decoders do not change under a read when the chain is upgraded. */
export interface Runtime extends RuntimeShape {
  /** BLAKE2b-256 of the SCALE encoding of a header in the RPC's JSON form. @throws when it is no header. */
  headerHash(header: unknown): BlockHash;
}

/** Where a runtime is loaded from. */
export interface RuntimeSource {
  readonly socket: JsonRpcSocket;
  readonly genesisHash: BlockHash;
  /** The answer of state_getRuntimeVersion at `codeAt`. */
  readonly version: unknown;
  /** Block whose code wrote the state that is to be read. */
  readonly codeAt: BlockHash;
  /** Milliseconds for loading metadata and composing the decoders. */
  readonly deadlineMs: number;
}

/** Calls that take a block as their last parameter and must not silently mean the best one. */
const pinnedCalls: readonly string[] = ['state_getMetadata', 'state_call'];

/**
 * A provider that shows @polkadot/api a chain standing still at one block. The library keeps one mutable set of types
 * that follows the *best* block, so during an upgrade it would decode finalized state with types that do not fit.
 */
function frozenProvider({ socket, genesisHash, version, codeAt }: RuntimeSource): Provider {
  const listeners = new Map<string, Set<(value?: unknown) => void>>();
  const emit = (type: string): void => {
    for (const listener of listeners.get(type) ?? []) listener();
  };
  const send = async (method: string, params: unknown[]): Promise<unknown> => {
    if (method === 'state_getRuntimeVersion') return version;
    if (method === 'chain_getBlockHash') return toPrefixedHex(genesisHash);
    if (pinnedCalls.includes(method)) return await socket.request(method, [...params, toPrefixedHex(codeAt)]);
    return await socket.request(method, params);
  };
  const provider: Provider = {
    hasSubscriptions: true,
    isClonable: false,
    isConnected: true,
    clone: () => provider,
    connect: async () => undefined,
    disconnect: async () => emit('disconnected'),
    on(type, listener) {
      const known = listeners.get(type) ?? new Set();
      listeners.set(type, known.add(listener));
      return () => known.delete(listener);
    },
    // The library's generic says "whatever the caller expects"; the answers are checked by its own decoders.
    send: (method, params) => send(method, params) as Promise<never>,
    // Nothing ever changes at one block, so a subscription has nothing to say.
    subscribe: async () => 'frozen',
    unsubscribe: async () => true,
  };
  return provider;
}

async function loadApi(source: RuntimeSource): Promise<ApiPromise> {
  // 155 MB on disk and half a second to import: only programs that read a chain pay for it.
  const { ApiPromise: Api } = await import('@polkadot/api');
  const api = new Api({ provider: frozenProvider(source), noInitWarn: true });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const message = `the runtime's metadata did not arrive within ${source.deadlineMs} ms`;
    timer = setTimeout(() => reject(new ProblemError('CHAIN_UNAVAILABLE', message)), source.deadlineMs);
  });
  const ready = api.isReadyOrError;
  // When the deadline wins, nobody else looks at the loser.
  ready.catch(() => undefined);
  try {
    await Promise.race([ready, late]);
    return api;
  } finally {
    clearTimeout(timer);
    // Ends the library's keep-alive timer; what it has learnt of the types stays usable.
    await api.disconnect();
  }
}

/**
 * Loads the decoders of the runtime that wrote the state at one block.
 * @throws ProblemError CHAIN_UNAVAILABLE or CHAIN_SHAPE_UNKNOWN.
 */
export async function loadRuntime(source: RuntimeSource): Promise<Runtime> {
  try {
    const api = await loadApi(source);
    const { registry } = api;
    return {
      ...runtimeShape(registry, api.runtimeMetadata),
      headerHash: (header) =>
        BlockHash.of(new Uint8Array(registry.createTypeUnsafe('Header', [header]).hash.toU8a())),
    };
  } catch (cause) {
    if (cause instanceof LatchkeyError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ProblemError('CHAIN_UNAVAILABLE', `the runtime's metadata cannot be used: ${why}`, { cause });
  }
}
