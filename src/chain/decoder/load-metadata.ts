import type { ApiPromise } from '@polkadot/api';
import { toPrefixedHex } from '../../bytes/hex.ts';

/** What @polkadot/api asks of a connection. */
type Provider = NonNullable<NonNullable<ConstructorParameters<typeof ApiPromise>[0]>['provider']>;

/** The parts of @polkadot/api that know a runtime's types. */
export type Registry = ApiPromise['registry'];
export type Metadata = ApiPromise['runtimeMetadata'];

/** Metadata as the library understood it. */
export interface LoadedMetadata {
  readonly registry: Registry;
  readonly metadata: Metadata;
}

/**
 * Fixed answers to the library's other questions about the chain. They say nothing about the real chain, so the result
 * depends on the metadata alone. Without runtime APIs the library asks for the metadata by `state_getMetadata`.
 */
const strangerFacts: Readonly<Record<string, unknown>> = {
  chain_getBlockHash: toPrefixedHex(new Uint8Array(32)),
  state_getRuntimeVersion: { specName: 'latchkey', implName: 'latchkey', specVersion: 1, apis: [] },
  system_chain: 'latchkey',
  system_properties: {},
  rpc_methods: { methods: [] },
};

/** A provider with fixed answers and this metadata, without a network. */
function frozenProvider(metadata: Uint8Array): Provider {
  const listeners = new Map<string, Set<(value?: unknown) => void>>();
  const emit = (type: string): void => {
    for (const listener of listeners.get(type) ?? []) listener();
  };
  const answers = { ...strangerFacts, state_getMetadata: toPrefixedHex(metadata) };
  const send = async (method: string): Promise<unknown> => {
    const answer = new Map<string, unknown>(Object.entries(answers)).get(method);
    if (answer === undefined) throw new RangeError(`no answer to ${method} here`);
    return answer;
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
    // The library's type parameter accepts any type of answer; its own decoders check the answers.
    send: (method) => send(method) as Promise<never>,
    // Nothing ever changes here, so a subscription has nothing to say.
    subscribe: async () => 'frozen',
    unsubscribe: async () => true,
  };
  return provider;
}

/**
 * Imports @polkadot/api, which takes half a second and 60 MB.
 * @returns what makes the library read SCALE metadata (version byte and magic number included); throws whatever the
 * library throws at metadata that it cannot use.
 */
export async function importLibrary(): Promise<(metadata: Uint8Array) => Promise<LoadedMetadata>> {
  const { ApiPromise: Api } = await import('@polkadot/api');
  return async (metadata) => {
    // Nothing is signed or hashed here, so the library's WebAssembly is not needed.
    const api = new Api({ provider: frozenProvider(metadata), noInitWarn: true, initWasm: false });
    await api.isReadyOrError;
    return { registry: api.registry, metadata: api.runtimeMetadata };
  };
}
