/** What the server process tells the bench. */
export type ServerMessage =
  | { readonly kind: 'ready'; readonly url: string; readonly constantUrl: string; readonly relayUrl: string }
  | { readonly kind: 'waiting'; readonly count: number }
  /** The first waiter of a round was woken, by the clock that all processes share. */
  | { readonly kind: 'woken'; readonly atNs: string };

/** Asks how many wait, in the service or in the relay that it is compared with. */
export type WaitingQuestion = 'waiting?' | 'waiting in relay?';
export type ServerQuestion = WaitingQuestion | 'stop';

/** Body of the answers that all servers give. */
export const ANSWER = `{"value":42,"signature":"${Buffer.alloc(65, 7).toString('base64')}"}`;
