import type { X25519KeyPair } from '../../crypto/x25519.ts';
import type { Lineage } from '../../lineage/lineage.ts';
import type { MacRoute } from '../../protocol/labels.ts';
import type { Forgotten } from '../../protocol/slot-messages.ts';

/** Fields of a JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** A request as it came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  /** Method, address, headers and body as text. */
  readonly text: string;
  readonly json: Json;
  readonly atMs: number;
}

/** An answer that the server's own logic does not make. */
export interface RawReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * `endless`: never ends; `silence`: no answer at all; `cut`: the connection ends inside of the body; `drip`: a head that
   * comes byte by byte and never ends; `interim`: answers with status 100, and never another one.
   */
  readonly body: string | { readonly kind: 'endless' | 'silence' | 'cut' | 'drip' | 'interim' };
}

/** How the server's own attestation is spoiled. */
export interface AttestationFault {
  /** Binds this key instead of the registered one. */
  readonly x25519PublicKey?: Uint8Array;
  readonly server?: Uint8Array;
  readonly isDebug?: boolean;
  /** Cites a block that is this many blocks older than the newest. */
  readonly blocksBehind?: number;
  /** One bit of the quote is changed after it was signed. */
  readonly isForged?: boolean;
}

/** What a server does that an honest one does not. */
export interface Fault {
  /** Takes the place of the answer; `earlier` are the requests before, the newest last. */
  readonly reply?: (request: SeenRequest, earlier: readonly SeenRequest[]) => RawReply | undefined;
  /** Changes the sealed text before it is sealed. */
  readonly plaintext?: (fields: Json) => Json;
  /** Seals with this key instead of the registered one. */
  readonly sealedBy?: X25519KeyPair;
  /** Changes what an answer says before its MAC is made. */
  readonly state?: (route: MacRoute, state: Forgotten, lineage: Lineage) => Forgotten;
  /** Makes the MAC of an answer for another request of the same route, as in an answer that is sent again. */
  readonly replaysMac?: MacRoute;
  /** Changes an answer after it was sealed, or after its MAC was made. */
  readonly answer?: (path: string, body: Json, former: readonly Json[]) => Json;
  readonly attestation?: AttestationFault;
}
