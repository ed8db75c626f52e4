import type { OpenNode } from '../boot/open-node.ts';
import { equalBytes } from '../bytes/concat.ts';
import type { AccountId, InstanceId } from '../bytes/fixed-bytes.ts';
import { signNotEnrolled } from '../protocol/not-enrolled.ts';

/** What a node answers to a server that says that its memory is gone. */
export type RestartHeard =
  | { readonly enrolled: true }
  /** 64 bytes, by the account of this node: without it the network could end the server's wait for this client. */
  | { readonly enrolled: false; readonly signature: Uint8Array };

/** Whether the server holds a slot of this node; if not, the node's signature under just that. */
export function hearRestart(
  { book, identity }: Pick<OpenNode, 'book' | 'identity'>,
  server: AccountId,
  instanceId: InstanceId,
): RestartHeard {
  if (book.slots().some(({ slot }) => equalBytes(slot.server, server))) return { enrolled: true };
  const statement = { client: identity.account, server, instanceId };
  return { enrolled: false, signature: signNotEnrolled(identity.accountSeed, statement) };
}
