import { toPrefixedHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { type Incarnation, NO_INCARNATION, type Reservation } from '../lineage/incarnation.ts';
import { sealLineageKey } from '../lineage/lineage-key.ts';
import type { MacRoute } from '../protocol/labels.ts';
import { incarnationToWire } from '../protocol/lineage-state.ts';
import { macMatches, responseMac } from '../protocol/mac.ts';
import {
  claimBytes,
  decodeForgotten,
  decodeServerState,
  type Forgotten,
  forgottenBytes,
  keyStatusBytes,
  reserveBytes,
  type ServerState,
  serverStateBytes,
} from '../protocol/slot-messages.ts';
import { requireRule } from './check.ts';
import type { Content, ForeignServer, KeyHolder } from './foreign-server.ts';

/** A slot with its key. */
export type SlotHolder = Extract<KeyHolder, { readonly key: SecretBytes }>;

/** The content of `lineage-status`. */
export const nothing: Content = { bytes: new Uint8Array(0), wire: {} };

/** The content of `claim` and `forget`. */
export const bootContent = (incarnation: Incarnation): Content => ({
  bytes: claimBytes(incarnation),
  wire: incarnationToWire(incarnation),
});

/** The content of `reserve`. */
export const reserveContent = (wish: Reservation): Content => ({
  bytes: reserveBytes(wish),
  wire: { incarnation: wish.number, boot: toPrefixedHex(wish.boot) },
});

/** The content of `key-status` that links a slot to a lineage and confirms it, or only asks. */
export function statusContent(
  subject: ForeignServer,
  slot: SlotHolder,
  options: {
    readonly confirm: boolean;
    readonly lineageKey?: SecretBytes;
    readonly incarnation?: Incarnation;
  },
): Content {
  const { confirm, lineageKey, incarnation = NO_INCARNATION } = options;
  const linked = { server: subject.server, account: subject.account, slotId: slot.slotId };
  const lineage =
    lineageKey && sealLineageKey(slot.key, linked, lineageKey, (length) => subject.options.random(length));
  const status = { confirm, lineage, incarnation, head: undefined, report: undefined };
  const wire = {
    confirm,
    ...(lineage === undefined ? {} : { lineage: toPrefixedHex(lineage) }),
    ...incarnationToWire(incarnation),
  };
  return { bytes: keyStatusBytes(status), wire };
}

/** Sends a good request of a route with a MAC, and checks the MAC of its answer. @throws Violation. */
export async function exchange(
  subject: ForeignServer,
  route: Exclude<MacRoute, 'forget'>,
  holder: KeyHolder,
  content: Content,
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
