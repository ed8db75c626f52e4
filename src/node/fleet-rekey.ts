import { z } from 'zod';
import type { RotationDesk } from '../agent/rotation-routes.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import { utf8 } from '../bytes/concat.ts';
import { parsePrefixedHex } from '../bytes/hex.ts';
import { sha256 } from '../crypto/sha2.ts';
import type { FleetRules } from '../fleet/fleet-body.ts';
import type { Log } from '../observe/log.ts';
import { type Clock, monotonicMsOf } from '../time/clock.ts';
import { storeKeyName } from './store-key-name.ts';

const NAMESPACE = 'latchkey/fleet';
const NAME = 'rekey';
/** The nodes of a fleet begin within this time, each at a moment that its account decides. */
const SPREAD_MS = 3_600_000;
/** Between two attempts, when one has failed. */
const RETRY_MS = 15 * 60_000;
const LOOK_EVERY_MS = 30_000;

/**
 * What the store remembers of a request: with which store key it was first seen. Another key in force later means that the
 * request is done, also after a crash between the change and the next look. A store from before the change remembers the
 * key from before it.
 */
const recordSchema = z.strictObject({
  version: z.literal(1),
  id: z.string(),
  formerKey: z.string(),
  sinceMs: z.int().nonnegative(),
});
type RekeyRecord = z.output<typeof recordSchema>;

/** The parts of a node that a rekey uses. */
export interface FleetRekeyParts {
  /** What the fleet asks for now. */
  readonly wanted: () => FleetRules['rekey'];
  readonly node: () => OpenNode | undefined;
  readonly isBacked: () => boolean;
  /** Changes the store key, one change at a time. */
  readonly rotation: RotationDesk;
  readonly clock: Clock;
  readonly log: Log;
}

/** What `latchkey status` says about the request of the fleet. */
export interface RekeyReport {
  readonly id: string;
  readonly reason: string;
  readonly state: 'waiting' | 'done';
}

/**
 * Changes the store key when the fleet asks for it, once for each id. It waits until the node is backed, and never stops
 * anything else: a node that cannot change its key goes on with the one that it has.
 */
export class FleetRekey {
  readonly #parts: FleetRekeyParts;
  #report: RekeyReport | undefined;
  /** By the clock that cannot be set: the host could set the other one ahead at an attempt that fails, and back. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(parts: FleetRekeyParts) {
    this.#parts = parts;
  }

  /** `undefined` while nothing is asked for. */
  get report(): RekeyReport | undefined {
    return this.#report;
  }

  /** Looks again and again. Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    while (!signal.aborted) {
      await this.look().catch((error: unknown) =>
        log('warn', 'fleet.rekey-failed', { error: String(error) }),
      );
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** Starts the change of the store key when it is due. */
  async look(): Promise<void> {
    const wanted = this.#parts.wanted();
    const node = this.#parts.node();
    if (wanted === undefined || node === undefined) {
      this.#report = undefined;
      return;
    }
    const { sinceMs, formerKey } = await this.#remembered(wanted.id, node);
    const isDone = formerKey !== storeKeyName(node);
    this.#report = { ...wanted, state: isDone ? 'done' : 'waiting' };
    if (isDone || !this.#isDue(wanted.id, node, sinceMs)) return;
    const { rotation, clock, log } = this.#parts;
    // The next look shows whether it was changed.
    this.#notBeforeMs = monotonicMsOf(clock) + RETRY_MS;
    log('warn', 'fleet.rekey', { ...wanted });
    rotation.start();
  }

  #isDue(id: string, { identity }: OpenNode, sinceMs: number): boolean {
    const { clock, rotation, isBacked } = this.#parts;
    if (!isBacked() || rotation.standing().state === 'running') return false;
    const elapsedMs = clock.nowMs() - sinceMs;
    // A clock that was set back must not hold the change off.
    const isEarly = elapsedMs >= 0 && elapsedMs < spreadOf(identity.account, id);
    return !isEarly && monotonicMsOf(clock) >= this.#notBeforeMs;
  }

  /** The record of this request, which is made when the request is first seen. */
  async #remembered(id: string, node: OpenNode): Promise<RekeyRecord> {
    const namespace = await node.store.namespace(NAMESPACE);
    const known = readRecord(await namespace.get(NAME));
    if (known?.id === id) return known;
    const record = {
      version: 1,
      id,
      formerKey: storeKeyName(node),
      sinceMs: this.#parts.clock.nowMs(),
    } as const;
    await namespace.put(NAME, utf8(JSON.stringify(record)));
    return record;
  }
}

/** A record that cannot be read is made again: the key is then changed once more. */
function readRecord(bytes: Uint8Array | undefined): RekeyRecord | undefined {
  if (bytes === undefined) return undefined;
  try {
    return recordSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}

function spreadOf(account: Uint8Array, id: string): number {
  const digest = sha256(account, parsePrefixedHex(id, 16, 'rekey.id'));
  return (new DataView(digest.buffer, digest.byteOffset).getUint32(0) / 2 ** 32) * SPREAD_MS;
}
