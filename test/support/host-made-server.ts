import { toBase64 } from '../../src/bytes/base64.ts';
import { AccountId, InstanceId, KeyId, Nonce, SlotId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import type { ServerRecord } from '../../src/chain/chain-view.ts';
import { generateX25519KeyPair, type X25519KeyPair } from '../../src/crypto/x25519.ts';
import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import { sealAuth } from '../../src/hpke/hpke.ts';
import type { EnrolledServer } from '../../src/keyslots/generations.ts';
import { decodeKeyRequest } from '../../src/protocol/decode.ts';
import { noExtensions } from '../../src/protocol/extensions.ts';
import { attestationReportData, requestReportData } from '../../src/protocol/report-data.ts';
import { encodeKeyGrant, sealedKeyAad, sealedKeyInfo } from '../../src/protocol/sealed-key.ts';
import { registrationReportData } from '../../src/trust/registration.ts';
import type { SimulatedWorld } from './simulated-network-world.ts';

/** Makes a quote over report data; where the host gets it from is the subject of a test. */
export type MakeQuote = (reportData: Uint8Array) => Uint8Array;

/**
 * A key server that the host runs outside of any TD: it speaks the protocol, knows the key of its slot, and shows the
 * quotes that it is given.
 */
export class HostMadeServer {
  readonly account: AccountId;
  readonly endpoint: string;
  /** The slot that the host puts into keyslot files. */
  readonly slot: EnrolledServer;
  /** Added to the true time in every grant, in milliseconds. */
  timeLieMs = 0;
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  readonly #world: SimulatedWorld;
  readonly #x25519: X25519KeyPair;
  readonly #makeQuote: MakeQuote;

  constructor(world: SimulatedWorld, number: number, makeQuote: MakeQuote) {
    const { dice } = world;
    this.#world = world;
    this.#makeQuote = makeQuote;
    this.#x25519 = generateX25519KeyPair();
    this.account = AccountId.of(dice.bytes(32));
    this.endpoint = `10.66.0.${number}:3001`;
    this.slot = {
      server: this.account,
      slotId: SlotId.of(dice.bytes(16)),
      keyId: KeyId.of(dice.bytes(16)),
      key: new SecretBytes(dice.bytes(32)),
      recoveryToken: new SecretBytes(dice.bytes(32)),
      instanceId: InstanceId.of(dice.bytes(16)),
    };
    world.wire.place(this.endpoint, { serve: (path, body) => this.#serve(path, body), isOfHost: true });
  }

  get #publicKey(): X25519PublicKey {
    return X25519PublicKey.of(this.#x25519.publicKey);
  }

  /** A record for the chain; its registered quote binds account and key, as far as the quote is genuine. */
  record(): ServerRecord {
    const nonce = Nonce.of(new Uint8Array(32));
    return {
      stash: this.account,
      account: this.account,
      x25519PublicKey: this.#publicKey,
      endpoint: this.endpoint,
      quote: this.#makeQuote(registrationReportData(this.account, this.#publicKey, 0, nonce)),
      active: true,
      signer: false,
    };
  }

  async #serve(path: string, body: unknown): Promise<unknown> {
    this.asked.push(path);
    switch (path) {
      case '/challenge':
        return {
          server: encodeSs58(this.account),
          nonce: toPrefixedHex(new Uint8Array(32).fill(1)),
          expiresAtMs: this.#world.clock.nowMs() + 30_000,
          instanceId: toPrefixedHex(this.slot.instanceId),
        };
      case '/request-encryption-key':
        return this.#grant(body);
      case '/attestation':
        return this.#attestation();
      default:
        throw new EvidenceError('KEY_UNKNOWN', path);
    }
  }

  #grant(body: unknown): unknown {
    const request = decodeKeyRequest(body);
    const { blockNumber, blockHash, clock } = this.#world;
    const { enc, ciphertext } = sealAuth({
      recipientPublicKey: request.ephemeralPublicKey,
      senderKeyPair: this.#x25519,
      info: sealedKeyInfo(this.account, request.account),
      aad: sealedKeyAad(requestReportData(request), this.slot.instanceId),
      plaintext: encodeKeyGrant({
        key: this.slot.key,
        keyId: this.slot.keyId,
        created: false,
        createdAtMs: clock.nowMs(),
        recoveryToken: undefined,
        serverTimeMs: clock.nowMs() + this.timeLieMs,
        finalized: { number: blockNumber, hash: blockHash },
        lineage: undefined,
        extensions: noExtensions,
      }),
    });
    return {
      server: encodeSs58(this.account),
      instanceId: toPrefixedHex(this.slot.instanceId),
      enc: toPrefixedHex(enc),
      ciphertext: toBase64(ciphertext),
    };
  }

  #attestation(): unknown {
    const { blockNumber, blockHash } = this.#world;
    const bound = {
      server: this.account,
      x25519PublicKey: this.#publicKey,
      instanceId: this.slot.instanceId,
      finalized: { number: blockNumber, hash: blockHash },
    };
    return {
      server: encodeSs58(this.account),
      x25519PublicKey: toPrefixedHex(this.#publicKey),
      instanceId: toPrefixedHex(this.slot.instanceId),
      finalized: { number: blockNumber, hash: toPrefixedHex(blockHash) },
      quote: toBase64(this.#makeQuote(attestationReportData(bound))),
    };
  }
}
