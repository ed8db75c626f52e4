import type { OpenNode } from '../boot/open-node.ts';
import { equalBytes } from '../bytes/concat.ts';
import { type ServerNews, signNotEnrolled } from '../protocol/not-enrolled.ts';

/** What a node answers to a server that says that its memory is gone, or that it drains. */
export type NewsHeard =
  | { readonly enrolled: true }
  /** 64 bytes, by the account of this node: without it the network could end the server's wait for this client. */
  | { readonly enrolled: false; readonly signature: Uint8Array };

/** Whether the server holds a slot of this node; if not, the node's signature under just that. */
export function hearNews(
  { book, identity }: Pick<OpenNode, 'book' | 'identity'>,
  news: ServerNews,
): NewsHeard {
  if (book.slots().some(({ slot }) => equalBytes(slot.server, news.server))) return { enrolled: true };
  const statement = { ...news, client: identity.account };
  return { enrolled: false, signature: signNotEnrolled(identity.accountSeed, statement) };
}
