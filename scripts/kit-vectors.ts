import { parsePrefixedHex, toPrefixedHex } from '../src/bytes/hex.ts';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { isReserved, isShown } from '../src/client/key-client.ts';
import { reservationOf } from '../src/lineage/incarnation.ts';
import { Lineage } from '../src/lineage/lineage.ts';
import { incarnationToWire, type LineageState, lineageToWire } from '../src/protocol/lineage-state.ts';
import { fleetVectors } from './fleet-vectors.ts';
import { protocolVectors } from './protocol-vectors.ts';
import { ringVectors } from './ring-vectors.ts';

/** One exchange of a MAC route, as kit/vectors/mac-routes.json lists it. */
interface NamedExchange {
  readonly name: string;
  readonly route: string;
}

const routesOf = {
  keyStatus: 'key-status',
  keyStatusThatLinks: 'key-status',
  keyStatusWithoutOptionalFields: 'key-status',
  keyStatusOfDrainingServer: 'key-status',
  keyStatusWithExtensions: 'key-status',
  reserve: 'reserve',
  claim: 'claim',
  forget: 'forget',
  forgetOfOlderIncarnation: 'forget',
  forgetWithExtensions: 'forget',
  lineageStatus: 'lineage-status',
  lineageUpdate: 'lineage-update',
  lineageUpdateThatCloses: 'lineage-update',
} as const;

/** Changes the digit at an index of a text of hex digits or base64, so that the text stays well-formed. */
const changedAt = (text: string, index: number): string =>
  `${text.slice(0, index)}${text[index] === 'a' ? 'b' : 'a'}${text.slice(index + 1)}`;

type Vectors = ReturnType<typeof protocolVectors>;

/** Answers to the request of request.json that do not open; each has one change. */
function answersToRefuse({ answer, keys }: Vectors) {
  const { body } = answer;
  return [
    { change: 'ciphertext', body: { ...body, ciphertext: changedAt(body.ciphertext, 0) } },
    { change: 'tag', body: { ...body, ciphertext: changedAt(body.ciphertext, body.ciphertext.length - 4) } },
    { change: 'enc', body: { ...body, enc: keys.ephemeralPublicKey } },
    { change: 'enc of small order', body: { ...body, enc: `0x${'00'.repeat(32)}` } },
    { change: 'instanceId', body: { ...body, instanceId: changedAt(body.instanceId, 5) } },
    { change: 'server', body: { ...body, server: '5HTUCaRtCZ1LTDhfRPsGKvvN7FB91bfuQn8FG8BgSdLP7haH' } },
    { change: 'unknown field', body: { ...body, note: 'no field of this protocol' } },
  ];
}

/** What answers to `reserve` and `claim` mean, once their MAC is right. */
function verdicts({ lineage }: Vectors) {
  const own = new Lineage(SecretBytes.adopt(bytesOf(lineage.secret)));
  const boot = bytesOf(lineage.incarnationMark.bootId).subarray(0, 8);
  const [lower, higher] = [new Uint8Array(8).fill(1), new Uint8Array(8).fill(0xfe)];
  const wish = own.reservation(4, boot);
  const shown = own.incarnation(4, boot);
  const state: LineageState = { reserved: wish, shown, head: undefined, slots: [], closed: false };
  const cases: readonly (readonly ['reserve' | 'claim', string, Partial<LineageState>])[] = [
    ['reserve', 'the own reservation', {}],
    ['reserve', 'the own boot, shown already', { reserved: reservationOf(shown) }],
    ['reserve', 'the same number for another boot', { reserved: own.reservation(4, lower) }],
    ['reserve', 'a larger number for another boot', { reserved: own.reservation(5, higher) }],
    ['reserve', 'a larger number for the own boot', { reserved: own.reservation(5, boot) }],
    ['reserve', 'a smaller number', { reserved: own.reservation(3, boot) }],
    ['reserve', 'a closed lineage', { closed: true }],
    ['claim', 'the own boot', {}],
    ['claim', 'a newer boot', { shown: own.incarnation(5, lower) }],
    ['claim', 'another boot of the same number with a larger id', { shown: own.incarnation(4, higher) }],
    ['claim', 'another boot of the same number with a smaller id', { shown: own.incarnation(4, lower) }],
    ['claim', 'an older boot', { shown: own.incarnation(3, boot) }],
    ['claim', 'a closed lineage', { closed: true }],
  ];
  return cases.map(([route, about, change]) => {
    const told = { ...state, ...change };
    const asked =
      route === 'reserve'
        ? { incarnation: wish.number, boot: toPrefixedHex(wish.boot), holds: isReserved(told, wish) }
        : { ...incarnationToWire(shown), holds: isShown(told, shown) };
    return { route, about, ...asked, ...lineageToWire(told) };
  });
}

const bytesOf = (text: string): Uint8Array => parsePrefixedHex(text, (text.length - 2) / 2, 'vector');

/** The protocol's vectors for other languages: the name of each file in kit/vectors, and its content. */
export function kitVectors(): ReadonlyMap<string, object> {
  const vectors = protocolVectors();
  const { keys, challenge, request, plainRequest, answer, lineage, attestation } = vectors;
  const exchanges = Object.entries(routesOf).map(([name, route]) => ({
    ...({ name, route } satisfies NamedExchange),
    // The names of the table are those of the vectors: a missing one does not compile.
    ...vectors[name as keyof typeof routesOf],
  }));
  return new Map<string, object>([
    ['request.json', { keys, challenge, request, plainRequest }],
    ['answer.json', { ...answer, refused: answersToRefuse(vectors) }],
    ['lineage.json', lineage],
    ['mac-routes.json', { exchanges }],
    ['verdicts.json', { verdicts: verdicts(vectors) }],
    ['attestation.json', attestation],
    ['fleet.json', fleetVectors()],
    ['ring.json', ringVectors()],
  ]);
}
