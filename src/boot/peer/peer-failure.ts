import { escapeControls } from '../../bytes/escape-controls.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';

/** The reason why a key server gave no key, as logs, `/readyz` and `latchkey status` show it. */
export type PeerFailure =
  | { readonly kind: 'unreachable'; readonly detail: string }
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  /** Its answer does not follow the protocol. */
  | { readonly kind: 'garbage'; readonly detail: string }
  /** Its answer was not sealed by the key that the chain registers for it. */
  | { readonly kind: 'impostor'; readonly detail: string }
  /** It holds no key for this slot: its memory is gone. */
  | { readonly kind: 'forgot'; readonly detail: string }
  /** It gave a key, but not the one that it gave before. */
  | { readonly kind: 'lied'; readonly detail: string }
  /** It no longer has a record on the chain. */
  | { readonly kind: 'departed'; readonly detail: string }
  /** Its own attestation does not satisfy the trust section. */
  | { readonly kind: 'untrusted'; readonly code: string; readonly detail: string };

/** Carries a {@link PeerFailure} through promises. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly failure: PeerFailure;

  constructor(failure: PeerFailure, cause?: unknown) {
    super(`${failure.kind}: ${failure.detail}`, { cause });
    this.failure = failure;
  }
}

/** Converts an error into a failure. */
export function failureOf(error: unknown): PeerFailure {
  if (error instanceof PeerError) return error.failure;
  if (error instanceof LatchkeyError) return { kind: 'garbage', detail: `${error.code}: ${error.message}` };
  return { kind: 'unreachable', detail: error instanceof Error ? error.message : String(error) };
}

/**
 * One line for people: `server forgot`, `server lied`, `unreachable`, `refused: CODE`… Parts of it are the peer's own
 * words, which must not look like ours.
 */
export const describeFailure = (failure: PeerFailure): string => escapeControls(describe(failure));

function describe(failure: PeerFailure): string {
  switch (failure.kind) {
    case 'refused':
    case 'untrusted':
      return `${failure.kind}: ${failure.code} (${failure.detail})`;
    case 'forgot':
    case 'lied':
      return `server ${failure.kind} (${failure.detail})`;
    case 'unreachable':
    case 'garbage':
    case 'impostor':
    case 'departed':
      return `${failure.kind} (${failure.detail})`;
  }
}
