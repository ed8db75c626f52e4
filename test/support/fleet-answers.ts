import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { sha256 } from '../../src/crypto/sha2.ts';

/** A made-up account. */
export const accountBytes = (name: string): AccountId => AccountId.of(sha256(new TextEncoder().encode(name)));

/** SS58 of a made-up account. */
export const accountNamed = (name: string): string => encodeSs58(accountBytes(name));

/** A slot as a node reports it. */
export interface ReportedSlot {
  readonly server: string;
  readonly standing: string;
  readonly isBoundElsewhere?: boolean;
}

/** What a backed node with these servers says on `GET /info` and `GET /readyz`. */
export function backedAnswer(
  name: string,
  servers: readonly string[],
  other: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const slots = servers.map((server): ReportedSlot => ({ server: accountNamed(server), standing: 'live' }));
  const n = servers.length;
  return {
    accountId: accountNamed(name),
    instanceId: `0x${Buffer.from(name.padEnd(16, '.').slice(0, 16)).toString('hex')}`,
    state: 'backed',
    summary: `backed (${n} of ${n} slots live)`,
    ready: true,
    live: n,
    n,
    t: Math.floor(n / 2) + 1,
    slots,
    clients: n,
    clientsAtRisk: 0,
    ...other,
  };
}

/** A fleet in which each node has its slots at all others. */
export const fullFleet = (names: readonly string[]): ReadonlyMap<string, Readonly<Record<string, unknown>>> =>
  new Map(
    names.map((name) => [
      name,
      backedAnswer(
        name,
        names.filter((other) => other !== name),
      ),
    ]),
  );
