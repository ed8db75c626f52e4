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
    ['attestation.json', attestation],
    ['fleet.json', fleetVectors()],
    ['ring.json', ringVectors()],
  ]);
}
