/** What the server process tells the bench. */
export type ServerMessage =
  | { readonly kind: 'ready'; readonly url: string; readonly constantUrl: string }
  | { readonly kind: 'waiting'; readonly count: number }
  /** The first waiter of a round was woken, by the clock that all processes share. */
  | { readonly kind: 'woken'; readonly atNs: string };

/** Any number asks how many wait. */
export type ServerQuestion = 'waiting?' | 'stop';

/** Body of the answers that both servers give. */
export const ANSWER = `{"value":42,"signature":"${Buffer.alloc(65, 7).toString('base64')}"}`;
