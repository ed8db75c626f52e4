import { toPrefixedHex, tryFromHex } from '../../../src/bytes/hex.ts';
import { blake2b256 } from '../../../src/crypto/blake2.ts';
import type { HeaderJson } from '../header.ts';
import type { ReadProof } from '../node-methods.ts';
import type { RpcMethod, RpcMethods } from '../rpc.ts';
import type { Lie } from './lies.ts';

const HUGE_NODE_BYTES = 24 * 1024 * 1024;

/** Alters an honest result; `turn` grows by one with every lie told. */
type Falsify = (result: unknown, turn: number) => unknown;

/** What the methods here answer with; the server's own results need no check. */
const onProof =
  (alter: (nodes: readonly string[], turn: number) => readonly string[]): Falsify =>
  (result, turn) => {
    const { at, proof } = result as ReadProof;
    return { at, proof: alter(proof, turn) };
  };

const onKeys =
  (alter: (keys: readonly string[]) => readonly string[]): Falsify =>
  (result) =>
    alter(result as readonly string[]);

const withOtherRoot = (header: HeaderJson): HeaderJson => ({
  ...header,
  stateRoot: toPrefixedHex(blake2b256(tryFromHex(header.stateRoot) ?? new Uint8Array(0))),
});

function withOtherByte(node: string, turn: number): string {
  const bytes = tryFromHex(node) ?? new Uint8Array(0);
  const place = turn % Math.max(bytes.length, 1);
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  return toPrefixedHex(bytes);
}

const surplus = (turn: number): string => toPrefixedHex(blake2b256(Uint8Array.of(turn & 0xff)));

const falsified: Partial<Record<Lie, Readonly<Record<string, Falsify>>>> = {
  'drop-proof-node': {
    state_getReadProof: onProof((nodes, turn) =>
      nodes.filter((_node, index) => index !== turn % nodes.length),
    ),
  },
  'flip-proof-byte': {
    state_getReadProof: onProof((nodes, turn) =>
      nodes.map((node, index) => (index === turn % nodes.length ? withOtherByte(node, turn) : node)),
    ),
  },
  'empty-proof': { state_getReadProof: onProof(() => []) },
  'surplus-proof-nodes': {
    state_getReadProof: onProof((nodes, turn) => [surplus(turn), ...nodes, surplus(turn + 1)]),
  },
  'huge-proof': {
    state_getReadProof: onProof((nodes) => [...nodes, `0x${'41'.repeat(HUGE_NODE_BYTES)}`]),
  },
  'hide-key': {
    state_getKeysPaged: onKeys((keys) => keys.slice(1)),
    state_getKeys: onKeys((keys) => keys.slice(1)),
  },
  'hide-all-keys': { state_getKeysPaged: onKeys(() => []), state_getKeys: onKeys(() => []) },
  'forge-header': {
    chain_getHeader: (result) => (result === null ? null : withOtherRoot(result as HeaderJson)),
    chain_getBlock: (result) => {
      const { block, justifications } = result as {
        block: { header: HeaderJson };
        justifications: unknown;
      };
      return { block: { ...block, header: withOtherRoot(block.header) }, justifications };
    },
  },
};

function lying(name: string, method: RpcMethod): RpcMethod {
  let turn = 0;
  return (params, client) => {
    const honest = method(params, client) ?? null;
    return client.lies.told().reduce<unknown>((result, lie) => {
      const falsify = falsified[lie]?.[name];
      return falsify === undefined ? result : falsify(result, turn++);
    }, honest);
  };
}

/** The methods of a hostile endpoint; without active lies they give the honest answers. */
export const lyingMethods = (methods: RpcMethods): RpcMethods =>
  Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, lying(name, method)]));
