import type { RegisterServer } from '../../devnet/chain/controls.ts';
import type { DevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { AccountId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import type { ServerRecord } from '../../src/chain/chain-view.ts';
import type { ConnectChainOptions } from '../../src/chain/polkadot-chain-view.ts';

const filled = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

/** An account of 32 equal bytes. */
export const accountOf = (byte: number): AccountId => AccountId.of(filled(byte));

/** A server record with all fields derived from one small number. */
export function serverRecord(n: number, changes: Partial<ServerRecord> = {}): ServerRecord {
  return {
    stash: accountOf(0x80 + n),
    account: accountOf(n),
    x25519PublicKey: X25519PublicKey.of(filled(0x40 + n)),
    endpoint: `127.0.0.1:${3000 + n}`,
    quote: new Uint8Array(4900).fill(n),
    active: true,
    signer: false,
    ...changes,
  };
}

/** Registers such a record on a development chain; it is in the next block. */
export function register(chain: DevelopmentChain, n: number, changes: Partial<RegisterServer> = {}): number {
  return chain.registerServer({ ...serverRecord(n), ...changes });
}

/** Options that make tests quick without depending on speed: short pauses, generous deadlines. */
export const quickOptions = (
  ...endpoints: readonly string[]
): ConnectChainOptions & { endpoints: readonly string[] } => ({
  endpoints,
  minRefreshMs: 0,
  reconnectMs: { min: 20, max: 100 },
  deadlineMs: 45_000,
});

/**
 * Polls until the value is there; a test that waits for ever fails by its own timeout.
 * @param probe returns `undefined` while it is not there.
 */
export async function eventually<T>(probe: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
