import {
  type AccountId,
  type InstanceId,
  type LineageId,
  Mac,
  type SlotId,
} from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { Incarnation } from '../../lineage/incarnation.ts';
import { Lineage } from '../../lineage/lineage.ts';
import { lineageKeyOf, openLineageKey } from '../../lineage/lineage-key.ts';
import { deposit, mayChange, reserve, show } from '../../lineage/rules.ts';
import type { MacRoute } from '../../protocol/labels.ts';
import {
  decodeLineageStatus,
  decodeLineageUpdate,
  lineageUpdateBytes,
} from '../../protocol/lineage-messages.ts';
import {
  MAC_FRESHNESS_MS,
  type MacRequest,
  macMatches,
  requestMac,
  responseMac,
} from '../../protocol/mac.ts';
import {
  claimBytes,
  decodeClaim,
  decodeForget,
  decodeKeyStatus,
  decodeReserve,
  type Forgotten,
  forgottenBytes,
  forgottenToWire,
  type KeyStatus,
  keyStatusBytes,
  reserveBytes,
  serverStateBytes,
  serverStateToWire,
} from '../../protocol/slot-messages.ts';
import type { Fault, Json } from './fault.ts';
import { type KeyMemory, type ScriptedLineage, type ScriptedSlot, stateOf } from './key-memory.ts';
import type { Observed } from './observed.ts';

/** The parts of a scripted server that these routes use. */
export interface MacRouteServer {
  readonly account: AccountId;
  readonly instanceId: InstanceId;
  readonly options: {
    readonly random: RandomSource;
    readonly nowMs: () => number;
    readonly lineageSecret: SecretBytes;
    readonly fault?: Fault;
  };
  readonly observed: Observed;
  readonly memory: KeyMemory;
  hasErred: boolean;
  /** `random` of earlier requests, hex. */
  readonly usedRandom: Set<string>;
  /** Reads a body, and notes one that a server must refuse. */
  decoded<T>(path: string, decode: () => T): T;
}

/** A request of a MAC route, once its key is known. */
interface Asked {
  readonly route: MacRoute;
  readonly request: MacRequest<unknown, SlotId | LineageId>;
  readonly content: Uint8Array;
  readonly key: SecretBytes;
}

/** Answers a route with a MAC. @throws EvidenceError for an unknown route, key or lineage, and a body that is refused. */
export function answerMacRoute(server: MacRouteServer, path: string, json: Json): Json {
  switch (path) {
    case '/key-status': {
      const request = server.decoded(path, () => decodeKeyStatus(json));
      const slot = slotOf(server, request.envelope.account, request.envelope.name);
      const content = keyStatusBytes(request.content);
      const asked: Asked = { route: 'key-status', request, content, key: slot.key };
      observe(server, asked);
      linkAsAsked(server, request.envelope.account, slot, request.content);
      return answered(server, asked, slot.lineage);
    }
    case '/reserve': {
      const request = server.decoded(path, () => decodeReserve(json));
      const slot = slotOf(server, request.envelope.account, request.envelope.name);
      const asked: Asked = {
        route: 'reserve',
        request,
        content: reserveBytes(request.content),
        key: slot.key,
      };
      observe(server, asked);
      if (slot.lineage !== undefined) slot.lineage.facts = reserve(slot.lineage.facts, request.content);
      return answered(server, asked, slot.lineage);
    }
    case '/claim': {
      const request = server.decoded(path, () => decodeClaim(json));
      const slot = slotOf(server, request.envelope.account, request.envelope.name);
      const asked: Asked = { route: 'claim', request, content: claimBytes(request.content), key: slot.key };
      observe(server, asked);
      shown(slot.lineage, request.content);
      return answered(server, asked, slot.lineage);
    }
    case '/forget': {
      const request = server.decoded(path, () => decodeForget(json));
      const { account, name } = request.envelope;
      const slot = slotOf(server, account, name);
      const asked: Asked = { route: 'forget', request, content: claimBytes(request.content), key: slot.key };
      observe(server, asked);
      const { lineage } = slot;
      const erased = lineage === undefined || mayChange(lineage.facts, request.content);
      if (erased) server.memory.erase(account, name);
      return answered(server, asked, lineage, erased);
    }
    case '/lineage-status': {
      const request = server.decoded(path, () => decodeLineageStatus(json));
      const lineage = lineageOf(server, request.envelope.account, request.envelope.name);
      const asked: Asked = { route: 'lineage-status', request, content: new Uint8Array(0), key: lineage.key };
      observe(server, asked);
      return answered(server, asked, lineage);
    }
    case '/lineage-update': {
      const request = server.decoded(path, () => decodeLineageUpdate(json));
      const { account, name } = request.envelope;
      const lineage = lineageOf(server, account, name);
      const content = lineageUpdateBytes(request.content);
      const asked: Asked = { route: 'lineage-update', request, content, key: lineage.key };
      observe(server, asked);
      const { incarnation, head, forget } = request.content;
      shown(lineage, incarnation);
      if (head !== undefined) lineage.facts = deposit(lineage.facts, incarnation, head);
      for (const slotId of forget) server.memory.erase(account, slotId);
      return answered(server, asked, lineage);
    }
    default:
      throw new EvidenceError('ROUTE_NOT_FOUND', `there is no ${path}`);
  }
}

function shown(lineage: ScriptedLineage | undefined, incarnation: Incarnation): void {
  if (lineage !== undefined) lineage.facts = show(lineage.facts, incarnation);
}

function slotOf(server: MacRouteServer, account: AccountId, slotId: SlotId): ScriptedSlot {
  const slot = server.memory.slot(account, slotId);
  if (slot === undefined) throw new EvidenceError('KEY_UNKNOWN', 'there is no such key');
  return slot;
}

function lineageOf(server: MacRouteServer, account: AccountId, lineageId: LineageId): ScriptedLineage {
  const lineage = server.memory.lineage(account, lineageId);
  if (lineage === undefined) throw new EvidenceError('LINEAGE_UNKNOWN', 'there is no such lineage');
  return lineage;
}

function observe(server: MacRouteServer, { route, request, content, key }: Asked): void {
  const { observed, options, account } = server;
  const { envelope, mac } = request;
  const expected = requestMac(key, route, { ...envelope, server: account }, content);
  observed.demand('mac-request', macMatches(mac, expected), `the MAC of ${route} is wrong`);
  const offMs = Math.abs(envelope.timestampMs - options.nowMs());
  observed.demand('mac-time', offMs <= MAC_FRESHNESS_MS, `timestampMs of ${route} is ${offMs} ms off`);
  const random = toHex(envelope.random);
  observed.demand('mac-random-fresh', !server.usedRandom.has(random), `${route} repeats its random bytes`);
  server.usedRandom.add(random);
}

function linkAsAsked(
  server: MacRouteServer,
  account: AccountId,
  slot: ScriptedSlot,
  { confirm, lineage, incarnation, head }: KeyStatus,
): void {
  const { observed, options } = server;
  if (slot.lineage === undefined) {
    const isWhole = confirm && lineage !== undefined;
    observed.demand('link-confirm', isWhole, 'the first key-status must link the slot and confirm it');
    const expected = lineageKeyOf(options.lineageSecret, server.account);
    const linked = { server: server.account, account, slotId: slot.slotId };
    const opened = lineage && openLineageKey(slot.key, linked, lineage);
    observed.demand(
      'link-seal',
      opened?.equals(expected) ?? false,
      'the sealed lineage key does not open, or is not the one for this server',
    );
    server.memory.link(account, slot, expected);
  }
  shown(slot.lineage, incarnation);
  if (slot.lineage !== undefined && head !== undefined) {
    slot.lineage.facts = deposit(slot.lineage.facts, incarnation, head);
  }
}

function answered(
  server: MacRouteServer,
  { route, request, key }: Asked,
  lineage: ScriptedLineage | undefined,
  erased = false,
): Json {
  const { fault = {}, lineageSecret, nowMs, random } = server.options;
  const honest: Forgotten = {
    instanceId: server.instanceId,
    serverTimeMs: nowMs(),
    draining: false,
    lineage: stateOf(lineage),
    extensions: new Map(),
    erased,
  };
  const own = new Lineage(new SecretBytes(lineageSecret.reveal()));
  const said = fault.state === undefined ? honest : fault.state(route, honest, own);
  own.wipe();
  server.hasErred ||= said !== honest || fault.replaysMac === route;
  const answered = fault.replaysMac === route ? Mac.of(random(Mac.byteLength)) : request.mac;
  if (route === 'forget') {
    return forgottenToWire(said, responseMac(key, route, answered, forgottenBytes(said)));
  }
  return serverStateToWire(said, responseMac(key, route, answered, serverStateBytes(said)));
}
