import { equalBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import type { Slot } from '../../keyslots/keyslot-file.ts';
import { failureOf, type PeerFailure } from '../peer/peer-failure.ts';
import { type ServerVetter, unprovenRegistration } from './vet-server.ts';

/** A server of the keyslot file that the chain proves. */
export interface KeyHolder {
  readonly record: ServerRecord;
  /** Name of the platform that its registered quote proves. */
  readonly platform: string;
  /** Whether its slots count only up to a limit: the fleet has revoked that platform, or does not endorse it. */
  readonly countsInPart: boolean;
}

/**
 * Which servers one recovery believes. The keyslot file is the host's word: a server is asked only if the chain proves
 * its machine, and its key counts only if its attestation passes.
 */
export class KeyHolders {
  readonly #vetter: ServerVetter;
  readonly #snapshot: ChainSnapshot;
  readonly #signal: AbortSignal;
  readonly #vetting = new Map<string, Promise<PeerFailure | undefined>>();

  constructor(vetter: ServerVetter, snapshot: ChainSnapshot, signal: AbortSignal) {
    this.#vetter = vetter;
    this.#snapshot = snapshot;
    this.#signal = signal;
  }

  /** The server of a slot, or why it is not asked. */
  find({ server }: Slot): { readonly holder: KeyHolder } | { readonly failure: PeerFailure } {
    const record = this.#snapshot.servers.find(({ account }) => equalBytes(account, server));
    if (record === undefined) {
      return { failure: { kind: 'departed', detail: 'it has no record on the chain' } };
    }
    const platform = this.#vetter.platformOf(record);
    if (platform === undefined) return { failure: unprovenRegistration };
    return { holder: { record, platform, countsInPart: this.#vetter.countsInPart(record) } };
  }

  /** Vets a server, once however many of its slots are asked for. Never rejects; resolves to why it failed. */
  vet({ record }: KeyHolder): Promise<PeerFailure | undefined> {
    const name = toHex(record.account);
    const known = this.#vetting.get(name);
    if (known !== undefined) return known;
    const vetting = this.#vetter.vet(record, this.#snapshot, this.#signal, 'holder').then(
      () => undefined,
      (error: unknown) => failureOf(error),
    );
    this.#vetting.set(name, vetting);
    return vetting;
  }
}
