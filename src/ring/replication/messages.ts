import type { ErrorCode } from '../../errors/codes.ts';
import type { Configuration } from '../placement/configuration.ts';
import type { RingMember } from '../placement/member.ts';
import type { KeptMark } from './entry.ts';

/** Records that one message asks for, or brings. */
export const MAX_RECORDS = 64;

/** What every message says of its sender. */
export interface NodeStatus {
  /** Block of the newest view that it serves by or changes to. */
  readonly adopted: number;
  /** Block of the newest view for which it has all records of its ranges; -1 when there is none. */
  readonly complete: number;
  /** Whether it hands its records over before it leaves. */
  readonly draining: boolean;
  /** Neighbours that may have missed what it purged; they have to catch up before their copies count. */
  readonly tooOld: readonly string[];
}

/** Id and order of a record, lower-case hex. */
export type Listed = readonly [id: string, order: string];

/** What one node asks another. Ids and accounts are lower-case hex. */
export type RingRequest =
  | { readonly kind: 'store'; readonly configuration: Configuration; readonly bytes: Uint8Array }
  | { readonly kind: 'read'; readonly configuration: Configuration; readonly id: string }
  | {
      /** Compares the records that both hold, of the ids that begin with these hex digits. */
      readonly kind: 'compare';
      readonly prefix: string;
      readonly digest: string;
      /** Members that are silent or drain, so that others take their places. */
      readonly without: readonly string[];
    }
  | { readonly kind: 'fetch'; readonly ids: readonly string[] }
  | { readonly kind: 'push'; readonly records: readonly Uint8Array[] }
  /** Claims a mark at the holders of an id: the first attempt that a holder hears of keeps it. */
  | {
      readonly kind: 'mark';
      readonly configuration: Configuration;
      readonly id: string;
      /** 32 bytes, lower-case hex. */
      readonly mark: string;
      /** 16 bytes, lower-case hex. */
      readonly attempt: string;
    }
  /** The marks of ids that the sender will hold, in their order, after one of them; empty to begin. */
  | { readonly kind: 'marks'; readonly after: string }
  /** The sender has everything of the repair that it began with `compare`. */
  | { readonly kind: 'repaired' };

/** What it answers. */
export type RingReply =
  | { readonly kind: 'stored' }
  /** There is a newer record, which stays. */
  | { readonly kind: 'superseded'; readonly bytes: Uint8Array }
  | { readonly kind: 'record'; readonly bytes: Uint8Array | undefined }
  | { readonly kind: 'same' }
  /** Few records: all that both hold. */
  | { readonly kind: 'list'; readonly listed: readonly Listed[] }
  /** Many: the digests of the sixteen prefixes that are one digit longer. */
  | { readonly kind: 'split'; readonly digests: readonly string[] }
  | { readonly kind: 'records'; readonly records: readonly Uint8Array[] }
  /** The attempt that has the mark. */
  | { readonly kind: 'marked'; readonly attempt: string }
  /** `upTo` is where the next answer goes on; empty when these were the last ones. */
  | { readonly kind: 'marks'; readonly marks: readonly KeptMark[]; readonly upTo: string }
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly code: ErrorCode };

export interface FromNode<Message> {
  readonly status: NodeStatus;
  readonly message: Message;
}

/** Carries messages over attested channels; the sender of a request is proven to the receiver. */
export interface RingTransport {
  /** Rejects when no answer comes in time. */
  ask(to: RingMember, request: FromNode<RingRequest>): Promise<FromNode<RingReply>>;
}
