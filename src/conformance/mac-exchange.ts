import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { type Incarnation, NO_INCARNATION } from '../lineage/incarnation.ts';
import { sealLineageKey } from '../lineage/lineage-key.ts';
import type { MacRoute } from '../protocol/labels.ts';
import { macMatches, responseMac } from '../protocol/mac.ts';
import { bootContent, keyStatusContent, type MacContent } from '../protocol/mac-message.ts';
import {
  decodeForgotten,
  decodeServerState,
  type Forgotten,
  forgottenBytes,
  type ServerState,
  serverStateBytes,
} from '../protocol/slot-messages.ts';
import { requireRule } from './check.ts';
import type { ForeignServer, KeyHolder } from './foreign-server.ts';

/** A slot with its key. */
export type SlotHolder = Extract<KeyHolder, { readonly key: SecretBytes }>;

/** The content of `key-status` that links a slot to a lineage and confirms it, or only asks. */
export function statusContent(
  subject: ForeignServer,
  slot: SlotHolder,
  options: {
    readonly confirm: boolean;
    readonly lineageKey?: SecretBytes;
    readonly incarnation?: Incarnation;
  },
): MacContent {
  const { confirm, lineageKey, incarnation = NO_INCARNATION } = options;
  const linked = { server: subject.server, account: subject.account, slotId: slot.slotId };
  const lineage =
    lineageKey && sealLineageKey(slot.key, linked, lineageKey, (length) => subject.options.random(length));
  return keyStatusContent({ confirm, lineage, incarnation, head: undefined, report: undefined });
}

/** Sends a good request of a route with a MAC, and checks the MAC of its answer. @throws Violation. */
export async function exchange(
  subject: ForeignServer,
  route: Exclude<MacRoute, 'forget'>,
  holder: KeyHolder,
  content: MacContent,
): Promise<ServerState> {
  const { body, mac } = subject.macBody(route, holder, content);
  const answer = await subject.send('POST', `/${route}`, body);
  requireRule(answer.status === 200, `a good ${route} gets ${answer.status}: ${answer.text.slice(0, 200)}`);
  const said = decodeServerState(answer.json);
  const key = 'key' in holder ? holder.key : holder.lineageKey;
  const expected = responseMac(key, route, mac, serverStateBytes(said.state));
  requireRule(macMatches(said.mac, expected), `the MAC of the answer of ${route} is wrong`);
  return said.state;
}

/** `POST /forget`, with the MAC of its answer checked. @throws Violation. */
export async function forget(
  subject: ForeignServer,
  slot: SlotHolder,
  incarnation: Incarnation,
): Promise<Forgotten> {
  const { body, mac } = subject.macBody('forget', slot, bootContent(incarnation));
  const answer = await subject.send('POST', '/forget', body);
  requireRule(answer.status === 200, `a good forget gets ${answer.status}: ${answer.text.slice(0, 200)}`);
  const said = decodeForgotten(answer.json);
  const expected = responseMac(slot.key, 'forget', mac, forgottenBytes(said.forgotten));
  requireRule(macMatches(said.mac, expected), 'the MAC of the answer of forget is wrong');
  return said.forgotten;
}
