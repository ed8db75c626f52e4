import { Hpke, X25519Keypair } from '@entropyxyz/entropy-protocol-nodejs';
import { blake2s } from '@noble/hashes/blake2.js';
import type { QuoteRequest } from '../../mock-tdx/development-pki.ts';
import type { TdBody } from '../../mock-tdx/quote/td-body.ts';
import { AccountId, Nonce, ReportData, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import type { ServerRecord } from '../../src/chain/chain-view.ts';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { openBase } from '../../src/hpke/hpke.ts';
import { registrationReportData } from '../../src/trust/registration.ts';
import type { KeyServerWorld, Reply } from './key-server-fixture.ts';

/** A recovery that is ready to be sent and to be spoiled. */
export interface Recovery {
  readonly body: {
    readonly tss_account: string;
    readonly response_key: readonly number[];
    readonly quote: readonly number[];
  };
  /** X25519, 32 bytes. */
  readonly responseSecret: Uint8Array;
}

/** How a recovery is made; each field makes one difference. */
export interface RecoveryWish {
  readonly account?: AccountId;
  readonly platform?: number;
  readonly body?: Partial<TdBody>;
  readonly facts?: QuoteRequest['facts'];
  readonly context?: number;
  readonly nonce?: Uint8Array;
  readonly responseSecret?: Uint8Array;
}

/** The text in which Entropy's own code would send a message: HPKE and sr25519 of its WebAssembly. */
export const sealed = (signingKey: Uint8Array, message: Uint8Array, recipient: Uint8Array): string =>
  Hpke.encryptAndSign(signingKey, message, recipient);

/** Opens an answer with Entropy's own code, which also checks the signature. */
export const opened = (secret: Uint8Array, { text }: Reply): Uint8Array => openedText(secret, text);

/** As {@link opened}, of the text of an answer. */
export const openedText = (secret: Uint8Array, text: string): Uint8Array =>
  Hpke.decryptAndVerify(secret, text);

/** A new X25519 secret, 32 bytes. */
export const newResponseSecret = (): Uint8Array => X25519Keypair.generate().secretKey();

/** The public half of an X25519 secret. */
export const publicOf = (secret: Uint8Array): Uint8Array => X25519Keypair.fromSecretKey(secret).publicKey();

/** The plaintext of an envelope, read without Entropy's code. */
export function plaintextOf(text: string, secret: Uint8Array): string {
  const { hpke_message: sealedMessage } = JSON.parse(text) as {
    hpke_message: { ciphertext: string; encapsulation: string };
  };
  const { ciphertext, encapsulation } = sealedMessage;
  const plaintext = openBase({
    recipientKeyPair: x25519KeyPairFromSecret(secret),
    enc: parsePrefixedHex(encapsulation, 32, 'encapsulation'),
    ciphertext: parsePrefixedHex(ciphertext, (ciphertext.length - 2) / 2, 'ciphertext'),
    info: new Uint8Array(0),
    aad: new Uint8Array(0),
  });
  if (plaintext === undefined) throw new Error('does not open');
  return new TextDecoder().decode(plaintext);
}

/** Who signed an envelope. */
export const senderOf = (text: string, secret: Uint8Array): AccountId =>
  AccountId.parse((JSON.parse(plaintextOf(text, secret)) as { sender: string }).sender, 'sender');

/** Entropy's report data, computed here a second time: BLAKE2s-256(account ‖ key ‖ context) ‖ nonce. */
export function recoveryReportData(
  account: Uint8Array,
  responseKey: Uint8Array,
  nonce: Uint8Array,
  context = 3,
): ReportData {
  const hash = blake2s(Uint8Array.of(...account, ...responseKey, context), { dkLen: 32 });
  return ReportData.of(Uint8Array.of(...hash, ...nonce));
}

/** A node of the predecessor's kind, against one server in this process. */
export class EntropyNode {
  readonly world: KeyServerWorld;
  /** sr25519, 64 bytes. */
  readonly signingKey: Uint8Array;
  readonly account: AccountId;
  readonly #x25519PublicKey = X25519PublicKey.of(publicOf(newResponseSecret()));

  constructor(world: KeyServerWorld, signingKey: Uint8Array = Hpke.generateSigningKey()) {
    this.world = world;
    this.signingKey = signingKey;
    const secret = newResponseSecret();
    this.account = senderOf(sealed(signingKey, new Uint8Array(32), publicOf(secret)), secret);
  }

  get #server(): Uint8Array {
    return this.world.keyServer.identity.x25519PublicKey;
  }

  /** The record that the chain has of this node. */
  record(platform = 1): ServerRecord {
    const { account } = this;
    const x25519PublicKey = this.#x25519PublicKey;
    const reportData = registrationReportData(account, x25519PublicKey, 0, Nonce.of(new Uint8Array(32)));
    const quote = this.world.quote({ reportData, platform });
    return { account, stash: account, x25519PublicKey, endpoint: 'a:1', quote, active: true, signer: false };
  }

  /** Registers this node alone on the chain. */
  register(platform = 1): this {
    this.world.chain.set({ servers: [this.record(platform)] });
    return this;
  }

  /** The body of a backup. */
  backupBody(key: Uint8Array, recipient = this.#server): string {
    return sealed(this.signingKey, key, recipient);
  }

  /** `POST /v1/backup_encryption_key`. */
  backup(key: Uint8Array): Promise<Reply> {
    return this.world.send('POST', '/v1/backup_encryption_key', this.backupBody(key));
  }

  /** A nonce for a response key. */
  async nonce(responseSecret: Uint8Array): Promise<Uint8Array> {
    const body = [...publicOf(responseSecret)];
    return opened(responseSecret, await this.world.send('POST', '/v1/backup_provider_quote_nonce', body));
  }

  /** A recovery with a nonce and a quote. */
  async prepare(wish: RecoveryWish = {}): Promise<Recovery> {
    const { account = this.account, platform = 1, context, facts, body } = wish;
    const responseSecret = wish.responseSecret ?? newResponseSecret();
    const responseKey = publicOf(responseSecret);
    const nonce = wish.nonce ?? (await this.nonce(responseSecret));
    const reportData = recoveryReportData(account, responseKey, nonce, context);
    const quote = this.world.quote({
      reportData,
      platform,
      ...(body === undefined ? {} : { body }),
      ...(facts === undefined ? {} : { facts }),
    });
    return {
      body: { tss_account: encodeSs58(account), response_key: [...responseKey], quote: [...quote] },
      responseSecret,
    };
  }

  /** `POST /v1/recover_encryption_key`. */
  submit({ body }: Pick<Recovery, 'body'>): Promise<Reply> {
    return this.world.send('POST', '/v1/recover_encryption_key', body);
  }

  /** The whole way to the key. */
  async recover(wish: RecoveryWish = {}): Promise<Uint8Array> {
    const recovery = await this.prepare(wish);
    return opened(recovery.responseSecret, await this.submit(recovery));
  }

  /** The code by which a recovery is refused. */
  async refusal(wish: RecoveryWish): Promise<unknown> {
    return (await this.submit(await this.prepare(wish))).json['code'];
  }
}
