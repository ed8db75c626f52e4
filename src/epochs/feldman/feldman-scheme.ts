import { compareBytes, concatBytes, utf8 } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { Ed25519Signer, ed25519Verify } from '../../crypto/ed25519.ts';
import { deriveKey, hkdfExpand, hkdfExtract } from '../../crypto/hkdf.ts';
import { type Scalar, scalarField } from '../../crypto/ristretto255.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { type X25519KeyPair, x25519KeyPairFromSecret } from '../../crypto/x25519.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import {
  copyRound,
  type Deal,
  type DkgScheme,
  type Outcome,
  type Participant,
  type Round,
  sameRound,
  type VerifiedLog,
} from '../dkg-scheme.ts';
import { participantName } from '../epoch-names.ts';
import type { Share } from '../epoch-record.ts';
import { Commitment, evaluate, lagrangeAtZero, type Polynomial } from './commitment.ts';
import {
  decodeLog,
  type FeldmanLog,
  type LogLine,
  logBody,
  resultsByPlayer,
  SIGNATURE_BYTES,
} from './feldman-log.ts';
import { encodeOutput, maxFaults, RoundView, remember } from './round-view.ts';
import { openPart, PartSealer } from './sealed-part.ts';

/**
 * Joint Feldman secret sharing over ristretto255, with the quorums of commonware's DKG: n ≥ 3 f + 1, polynomials of
 * n − f coefficients, at most f parts revealed in a log. Signatures are Ed25519 and deterministic. Small and complete
 * enough to prove the journal; a production DKG can take its place behind {@link DkgScheme}.
 */
export class FeldmanScheme implements DkgScheme {
  readonly self: Participant;
  readonly #signer: Ed25519Signer;
  readonly #decryption: X25519KeyPair;
  #view: { readonly round: Round; readonly view: RoundView } | undefined;

  /** `identitySeed`: 32 bytes, from which the signing and the encryption key follow. */
  constructor(identitySeed: SecretBytes) {
    this.#signer = new Ed25519Signer(deriveKey(identitySeed.reveal(), 'latchkey/v1/dkg-signing'));
    const secret = deriveKey(identitySeed.reveal(), 'latchkey/v1/dkg-encryption');
    this.#decryption = x25519KeyPairFromSecret(secret);
    this.self = { publicKey: this.#signer.publicKey, encryptionKey: this.#decryption.publicKey };
  }

  deal(round: Round, seed: SecretBytes, share?: Share): Deal {
    const view = this.#viewOf(round);
    const polynomial = dealerPolynomial(view, seed, share);
    const publicMessage = this.#publicMessage(view, polynomial);
    const sealer = new PartSealer(
      expand(view, seed, 'ephemeral', 32),
      partContext(view, this.self.publicKey, publicMessage),
    );
    const sealed = new Map<string, Uint8Array>();
    view.players.forEach(({ publicKey, encryptionKey }, at) => {
      const part = SecretBytes.adopt(scalarField.toBytes(evaluate(polynomial, at + 1)));
      sealed.set(participantName(publicKey), sealer.seal(encryptionKey, part));
      part.wipe();
    });
    return { publicMessage, sealed };
  }

  checkPublic(round: Round, dealer: Uint8Array, publicMessage: Uint8Array): boolean {
    return readPublic(this.#viewOf(round), dealer, publicMessage) !== undefined;
  }

  open(
    round: Round,
    dealer: Uint8Array,
    publicMessage: Uint8Array,
    sealed: Uint8Array,
  ): SecretBytes | undefined {
    const view = this.#viewOf(round);
    const index = view.playerIndex(this.self.publicKey);
    const commitment = readPublic(view, dealer, publicMessage);
    if (index === undefined || commitment === undefined) return undefined;
    const part = openPart(this.#decryption, partContext(view, dealer, publicMessage), sealed);
    const value = part && scalarField.tryFromBytes(part);
    if (part === undefined || value === undefined || !commitment.holds(index, value)) return undefined;
    return SecretBytes.adopt(part);
  }

  signAck(round: Round, dealer: Uint8Array, publicMessage: Uint8Array): Uint8Array {
    return this.#signer.sign(ackBytes(this.#viewOf(round), dealer, publicMessage));
  }

  checkAck(
    round: Round,
    dealer: Uint8Array,
    publicMessage: Uint8Array,
    player: Uint8Array,
    ack: Uint8Array,
  ): boolean {
    const view = this.#viewOf(round);
    if (view.playerIndex(player) === undefined) return false;
    return ed25519Verify(ackBytes(view, dealer, publicMessage), ack, player);
  }

  makeLog(
    round: Round,
    seed: SecretBytes,
    share: Share | undefined,
    acks: ReadonlyMap<string, Uint8Array>,
  ): Uint8Array | undefined {
    const view = this.#viewOf(round);
    const polynomial = dealerPolynomial(view, seed, share);
    const publicMessage = this.#publicMessage(view, polynomial);
    const lines = view.players.map(({ publicKey }, at): LogLine => {
      const ack = acks.get(participantName(publicKey));
      if (ack !== undefined) return { kind: 'ack', ack };
      return { kind: 'reveal', scalar: scalarField.toBytes(evaluate(polynomial, at + 1)) };
    });
    // More in the open, and f faulty players could add their own parts and know the dealing.
    if (countReveals(lines) > maxFaults(view.players.length)) return undefined;
    const body = logBody({ publicMessage, lines });
    return concatBytes(body, this.#signer.sign(logBytes(view, this.self.publicKey, body)));
  }

  readLog(round: Round, dealer: Uint8Array, bytes: Uint8Array): VerifiedLog | undefined {
    const view = this.#viewOf(round);
    return remember(view.checkedLogs, sha256(dealer, bytes), () => {
      const log = tryDecodeLog(bytes, view);
      if (log === undefined || !holds(view, dealer, log)) return undefined;
      return {
        dealer: copyBytes(dealer),
        publicMessage: log.publicMessage,
        results: resultsByPlayer(log, view),
      };
    });
  }

  combine(round: Round, logs: readonly VerifiedLog[]): Outcome | undefined {
    const view = this.#viewOf(round);
    const byDealer = new Map(logs.map((log) => [participantName(log.dealer), log] as const));
    const ordered = [...byDealer.values()].sort((a, b) => compareBytes(a.dealer, b.dealer));
    const selected = ordered.slice(0, view.logsNeeded);
    if (selected.length < view.logsNeeded) return undefined;
    const weights = weightsOf(view, selected);
    const parts = selected.flatMap(({ dealer, publicMessage }, at) => {
      const commitment = readPublic(view, dealer, publicMessage);
      return commitment === undefined ? [] : [{ commitment, times: weights[at] ?? 1n }];
    });
    if (parts.length < view.logsNeeded) return undefined;
    const commitment = Commitment.combine(parts, view.threshold);
    const holders = view.players.map(({ publicKey }) => publicKey);
    return { output: encodeOutput({ commitment, holders }), selected };
  }

  share(
    round: Round,
    outcome: Outcome,
    privateMessages: ReadonlyMap<string, SecretBytes>,
  ): Share | undefined {
    const view = this.#viewOf(round);
    const index = view.playerIndex(this.self.publicKey);
    if (index === undefined) return undefined;
    const weights = weightsOf(view, outcome.selected);
    let sum = 0n;
    for (const [at, log] of outcome.selected.entries()) {
      const result = log.results.get(participantName(this.self.publicKey));
      const part =
        result?.kind === 'reveal' ? result.privateMessage : privateMessages.get(participantName(log.dealer));
      const value = part && scalarField.tryFromBytes(part.reveal());
      const commitment = readPublic(view, log.dealer, log.publicMessage);
      if (value === undefined || !commitment?.holds(index, value)) return undefined;
      sum = scalarField.add(sum, scalarField.multiply(value, weights[at] ?? 1n));
    }
    return { index, scalar: SecretBytes.adopt(scalarField.toBytes(sum)) };
  }

  #publicMessage(view: RoundView, polynomial: Polynomial): Uint8Array {
    const commitment = Commitment.to(polynomial).toBytes();
    return concatBytes(commitment, this.#signer.sign(dealingBytes(view, this.self.publicKey, commitment)));
  }

  /** A round is asked about many times in a row; its transcript and its previous output are read once. */
  /** The checks of this round so far, found by its content: callers pass copies of a round, and may change theirs. */
  #viewOf(round: Round): RoundView {
    if (this.#view === undefined || !sameRound(this.#view.round, round)) {
      const copy = copyRound(round);
      this.#view = { round: copy, view: new RoundView(copy) };
    }
    return this.#view.view;
  }
}

const expand = (view: RoundView, seed: SecretBytes, label: string, length: number): Uint8Array =>
  hkdfExpand(hkdfExtract(view.transcript, seed.reveal()), utf8(`latchkey/v1/dkg-dealer/${label}`), length);

/** The dealer's polynomial; when a secret is reshared, its constant is the dealer's present share. */
function dealerPolynomial(view: RoundView, seed: SecretBytes, share: Share | undefined): Polynomial {
  if (view.previous !== undefined && share === undefined)
    throw new TypeError('resharing a secret needs the share of the previous round');
  const polynomial = Array.from({ length: view.threshold }, (_, at) =>
    scalarField.fromUniformBytes(expand(view, seed, `coefficient-${at}`, 64)),
  );
  if (view.previous === undefined || share === undefined) return polynomial;
  const constant = scalarField.tryFromBytes(share.scalar.reveal());
  if (constant === undefined) throw new TypeError('the share is not a scalar');
  return [constant, ...polynomial.slice(1)];
}

const dealingBytes = (view: RoundView, dealer: Uint8Array, commitment: Uint8Array): Uint8Array =>
  concatBytes(utf8('latchkey/v1/dkg-dealing'), view.transcript, dealer, commitment);

const ackBytes = (view: RoundView, dealer: Uint8Array, publicMessage: Uint8Array): Uint8Array =>
  concatBytes(utf8('latchkey/v1/dkg-ack'), view.transcript, dealer, sha256(publicMessage));

const logBytes = (view: RoundView, dealer: Uint8Array, body: Uint8Array): Uint8Array =>
  concatBytes(utf8('latchkey/v1/dkg-log'), view.transcript, dealer, sha256(body));

const partContext = (view: RoundView, dealer: Uint8Array, publicMessage: Uint8Array): Uint8Array =>
  sha256(view.transcript, dealer, publicMessage);

const readPublic = (view: RoundView, dealer: Uint8Array, message: Uint8Array): Commitment | undefined =>
  remember(view.checked, sha256(dealer, message), () => checkedPublic(view, dealer, message));

/** Reads `commitment ‖ signature`: by a dealer of the round, of the right degree, on the previous output. */
function checkedPublic(
  view: RoundView,
  dealer: Uint8Array,
  publicMessage: Uint8Array,
): Commitment | undefined {
  const index = view.dealerIndex(dealer);
  const end = publicMessage.length - SIGNATURE_BYTES;
  if (index === undefined || end < 0) return undefined;
  const bytes = publicMessage.subarray(0, end);
  if (!ed25519Verify(dealingBytes(view, dealer, bytes), publicMessage.subarray(end), dealer))
    return undefined;
  const commitment = Commitment.tryFromBytes(bytes, view.threshold);
  const before = view.previous?.commitment.at(index);
  return before === undefined || commitment?.constant.equals(before) ? commitment : undefined;
}

const countReveals = (lines: readonly LogLine[]): number =>
  lines.filter(({ kind }) => kind === 'reveal').length;

function tryDecodeLog(bytes: Uint8Array, view: RoundView): FeldmanLog | undefined {
  try {
    return decodeLog(bytes, view);
  } catch (error) {
    if (error instanceof EvidenceError) return undefined;
    throw error;
  }
}

/** The log's own signature, its dealing, every ack, and every part that is in the open. */
function holds(view: RoundView, dealer: Uint8Array, log: FeldmanLog): boolean {
  const commitment = readPublic(view, dealer, log.publicMessage);
  if (commitment === undefined || countReveals(log.lines) > maxFaults(view.players.length)) return false;
  if (!ed25519Verify(logBytes(view, dealer, logBody(log)), log.signature, dealer)) return false;
  const acknowledged = ackBytes(view, dealer, log.publicMessage);
  return view.players.every(({ publicKey }, at) => {
    const line = log.lines[at];
    if (line?.kind === 'ack') return ed25519Verify(acknowledged, line.ack, publicKey);
    const value = line && scalarField.tryFromBytes(line.scalar);
    return value !== undefined && commitment.holds(at + 1, value);
  });
}

/** The weight of each selected dealing: 1 in a first round, Lagrange's coefficient when a secret is reshared. */
function weightsOf(view: RoundView, selected: readonly VerifiedLog[]): readonly Scalar[] {
  if (view.previous === undefined) return selected.map(() => 1n);
  const indices = selected.map(({ dealer }) => view.dealerIndex(dealer) ?? 0);
  return indices.map((index) => lagrangeAtZero(index, indices));
}
