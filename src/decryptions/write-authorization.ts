import { concatBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { tryFromHex } from '../bytes/hex.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { sha256 } from '../crypto/sha2.ts';
import { sr25519Verify } from '../crypto/sr25519.ts';
import { EvidenceError, RefusalError } from '../errors/latchkey-error.ts';
import type { WriteOrder } from './decryption-table.ts';

/** The rule for who may write: everybody, holders of a token, or registered accounts. */
export type WriteAuthorization =
  | { readonly kind: 'open' }
  | { readonly kind: 'bearer'; readonly token: SecretBytes }
  | { readonly kind: 'sr25519'; readonly accounts: readonly AccountId[] };

/** The parts of a write that its authorization covers. */
export interface WriteRequest {
  readonly method: string;
  /** Path with the key in it, as sent, without query. */
  readonly path: string;
  readonly body: Uint8Array;
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
}

/** How far a signed write's time may be from ours, in milliseconds. */
export const SIGNED_WRITE_WINDOW_MS = 60_000;
const LABEL = utf8('latchkey/v1/decryption-write');

/** The bytes an oracle signs: label ‖ SHA-256(method ‖ space ‖ path) ‖ u64 time in ms ‖ SHA-256(body). */
export const signedWriteBytes = (
  method: string,
  path: string,
  timestampMs: number,
  body: Uint8Array,
): Uint8Array =>
  concatBytes(LABEL, sha256(utf8(`${method} ${path}`)), u64BigEndian(timestampMs), sha256(body));

const unauthenticated = (message: string, field: string): EvidenceError =>
  new EvidenceError('DECRYPTION_WRITE_UNAUTHENTICATED', message, { field });

/**
 * Decides who may write. A signed write has a time. Within the window no older write of the same account to the same
 * path is accepted, so that a recorded write cannot restore an overwritten value.
 */
export class WriteGate {
  readonly #authorization: WriteAuthorization;
  readonly #nowMs: () => number;
  readonly #order: WriteOrder;
  /** Signed writes must not be older. */
  readonly #notBeforeMs: number;

  /**
   * @param order The order that all instances share; without it this process keeps one.
   * @throws TypeError for an unknown kind of authorization, which must not mean that everybody may write.
   */
  constructor(authorization: WriteAuthorization, nowMs: () => number, order?: WriteOrder) {
    this.#authorization = checkedAuthorization(authorization);
    this.#nowMs = nowMs;
    this.#order = order ?? new ProcessWriteOrder(nowMs);
    // Writes that this process accepted before its start are no longer known to it.
    this.#notBeforeMs = order === undefined ? nowMs() : 0;
  }

  /**
   * Checks one write.
   * @returns the account that signed it, or `undefined` where writes are not signed.
   * @throws EvidenceError DECRYPTION_WRITE_UNAUTHENTICATED, RefusalError DECRYPTION_WRITE_FORBIDDEN.
   */
  async admit(request: WriteRequest): Promise<AccountId | undefined> {
    switch (this.#authorization.kind) {
      case 'open':
        return undefined;
      case 'bearer':
        requireToken(this.#authorization.token, request.header('authorization'));
        return undefined;
      case 'sr25519':
        return this.#requireSignature(this.#authorization.accounts, request);
    }
  }

  async #requireSignature(accounts: readonly AccountId[], request: WriteRequest): Promise<AccountId> {
    const account = readAccount(request.header('latchkey-account'));
    const timestampMs = this.#readTimestamp(request.header('latchkey-timestamp'));
    const signature = tryFromHex(request.header('latchkey-signature') ?? '');
    const message = signedWriteBytes(request.method, request.path, timestampMs, request.body);
    if (signature?.length !== 64 || !sr25519Verify(message, signature, account)) {
      throw unauthenticated('the sr25519 signature does not match this request', 'latchkey-signature');
    }
    if (!accounts.some((accepted) => equalBytes(accepted, account))) {
      throw new RefusalError('DECRYPTION_WRITE_FORBIDDEN', `${encodeSs58(account)} may not write here`);
    }
    await this.#refuseOlder(account, request.path, timestampMs);
    return account;
  }

  #readTimestamp(text: string | undefined): number {
    const timestampMs = /^[0-9]{1,15}$/.test(text ?? '') ? Number(text) : Number.NaN;
    const inWindow = Math.abs(this.#nowMs() - timestampMs) <= SIGNED_WRITE_WINDOW_MS;
    if (inWindow && timestampMs >= this.#notBeforeMs) return timestampMs;
    throw unauthenticated(
      'the time of the request is missing, more than 60 s off, or before the start of this service',
      'latchkey-timestamp',
    );
  }

  /** Times must increase, so that the same write is not accepted twice either: another may have come in between. */
  async #refuseOlder(account: AccountId, path: string, timestampMs: number): Promise<void> {
    // A key may be written in either case.
    const name = `${encodeSs58(account)} ${path.toLowerCase()}`;
    if (await this.#order.advance(name, timestampMs)) return;
    throw unauthenticated('this or a newer write was accepted before; sign again', 'latchkey-timestamp');
  }
}

/** The order of signed writes in the memory of one process. */
class ProcessWriteOrder implements WriteOrder {
  readonly #nowMs: () => number;
  /** Newest accepted time; an entry is removed once the window has passed. */
  readonly #newest = new Map<string, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  async advance(name: string, timestampMs: number): Promise<boolean> {
    if (timestampMs <= (this.#newest.get(name) ?? 0)) return false;
    this.#forgetOld();
    // Deleting first keeps the map in the order of acceptance, which forgetOld relies on.
    this.#newest.delete(name);
    this.#newest.set(name, timestampMs);
    return true;
  }

  #forgetOld(): void {
    const tooOldMs = this.#nowMs() - 2 * SIGNED_WRITE_WINDOW_MS;
    for (const [name, timestampMs] of this.#newest) {
      if (timestampMs >= tooOldMs) return;
      this.#newest.delete(name);
    }
  }
}

/** A checked copy of the caller's value; the caller may be JavaScript. */
function checkedAuthorization(given: WriteAuthorization): WriteAuthorization {
  switch (given?.kind) {
    case 'open':
      return { kind: 'open' };
    case 'bearer':
      if (!(given.token instanceof SecretBytes)) throw new TypeError('token must be SecretBytes');
      return { kind: 'bearer', token: given.token };
    case 'sr25519':
      if (!Array.isArray(given.accounts)) throw new TypeError('accounts must be an array of account ids');
      return { kind: 'sr25519', accounts: given.accounts.map(copyAccount) };
    default:
      throw new TypeError("kind of write authorization must be 'open', 'bearer' or 'sr25519'");
  }
}

function copyAccount(account: AccountId): AccountId {
  try {
    return AccountId.of(account);
  } catch (cause) {
    throw new TypeError('accounts must be an array of account ids', { cause });
  }
}

function requireToken(token: SecretBytes, header: string | undefined): void {
  const given = /^bearer +(\S+)$/i.exec(header ?? '')?.[1];
  if (given === undefined || !equalConstantTime(sha256(utf8(given)), sha256(token.reveal()))) {
    throw unauthenticated('Authorization: Bearer <token> is missing or wrong', 'authorization');
  }
}

function readAccount(text: string | undefined): AccountId {
  try {
    return AccountId.parse(text ?? '', 'latchkey-account');
  } catch (cause) {
    throw new EvidenceError('DECRYPTION_WRITE_UNAUTHENTICATED', 'Latchkey-Account is missing or no account', {
      field: 'latchkey-account',
      cause,
    });
  }
}
