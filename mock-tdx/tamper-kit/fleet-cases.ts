import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { type FileParts, type FleetBench, named } from './fleet-bench.ts';

/** Manifests that a node takes one after the other; the last one has one defect, or none. */
export interface FleetCase {
  /** Stable, kebab-case, unique. */
  readonly name: string;
  readonly about: string;
  /** Texts of manifest files. */
  readonly make: (bench: FleetBench) => readonly string[];
  /** Code by which the last one is refused; `undefined`: it is taken. */
  readonly code?: string;
}

const one = (
  name: string,
  about: string,
  parts: (bench: FleetBench) => FileParts,
  code?: string,
): FleetCase => ({
  name,
  about,
  make: (bench) => [bench.file(parts(bench))],
  ...(code === undefined ? {} : { code }),
});

const withByte =
  (at: number, value: number) =>
  (bytes: Uint8Array): Uint8Array => {
    const copy = new Uint8Array(bytes);
    copy[at] = value;
    return copy;
  };

const MALFORMED = 'FLEET_HEADER_MALFORMED';
const headerCases: readonly FleetCase[] = [
  one('header-short', 'A byte less.', () => ({ alter: (signed) => signed.subarray(1) }), MALFORMED),
  one(
    'header-long',
    'A byte more.',
    () => ({ alter: (signed) => concatBytes(signed, named('x', 1)) }),
    MALFORMED,
  ),
  one('header-empty', 'No bytes.', () => ({ alter: () => new Uint8Array(0) }), MALFORMED),
  one('serial-zero', 'Serial 0.', () => ({ fields: { serial: 0n } }), MALFORMED),
  one('serial-beyond', 'Serial 2^53.', () => ({ fields: { serial: 2n ** 53n } }), MALFORMED),
  one('time-beyond', 'A time of 2^53.', () => ({ fields: { issuedAtMs: 2n ** 53n } }), MALFORMED),
  one('count-17', 'Says that it has 17 signatures.', () => ({ alter: withByte(128, 17) }), MALFORMED),
  one('count-1', 'Has 2 signatures and says 1.', () => ({ alter: withByte(128, 1) }), MALFORMED),
  one('key-twice', 'One key signs twice, to count as two.', () => ({ by: ['a', 'a'] }), MALFORMED),
  one(
    'keys-descending',
    'Signatures in another order.',
    () => ({
      alter: (signed) =>
        concatBytes(signed.subarray(0, 129), signed.subarray(225), signed.subarray(129, 225)),
    }),
    MALFORMED,
  ),
];

const INVALID = 'FLEET_SIGNATURE_INVALID';
const TOO_FEW = 'FLEET_SIGNATURES_TOO_FEW';
const signatureCases: readonly FleetCase[] = [
  one('unsigned', 'No signature.', () => ({ by: [] }), TOO_FEW),
  one('one-of-two', 'One signature of two.', () => ({ by: ['a'] }), TOO_FEW),
  one('strangers', 'Two keys of others.', () => ({ by: ['x', 'y'] }), TOO_FEW),
  one('one-and-stranger', 'One key, and one of others.', () => ({ by: ['a', 'x'] }), TOO_FEW),
  one('serial-altered', 'Another serial than was signed.', () => ({ alter: withByte(55, 6) }), INVALID),
  one('previous-altered', 'Another predecessor.', () => ({ alter: withByte(60, 1) }), INVALID),
  one('time-altered', 'Another time.', () => ({ alter: withByte(127, 1) }), INVALID),
  one('signature-altered', 'A byte of a signature.', () => ({ alter: withByte(200, 1) }), INVALID),
  {
    name: 'other-label',
    about: 'Signed as something else.',
    make: (bench) => [
      bench.file({ alter: () => bench.signed(bench.header(bench.body()), ['a', 'b'], 'latchkey/v1/other') }),
    ],
    code: INVALID,
  },
  one(
    'other-network',
    'For another chain.',
    () => ({ fields: { network: named('x') } }),
    'FLEET_NETWORK_OTHER',
  ),
  one(
    'other-authority',
    'By another authority.',
    () => ({ fields: { authorityId: named('x', 16) } }),
    'FLEET_AUTHORITY_OTHER',
  ),
  one('serial-low', 'Below the minimum serial.', () => ({ fields: { serial: 4n } }), 'FLEET_SERIAL_TOO_LOW'),
];

const BODY = 'FLEET_BODY_MALFORMED';
const MISMATCH = 'FLEET_BODY_MISMATCH';
const hash = `0x${'ab'.repeat(48)}`;
const inBody = (name: string, about: string, change: (body: string) => string): FleetCase =>
  one(name, about, (bench) => ({ body: change(bench.body()) }), BODY);

const bodyCases: readonly FleetCase[] = [
  one(
    'body-other',
    'Another body than was signed.',
    (bench) => ({ sentBody: bench.body({ moves: [1] }) }),
    MISMATCH,
  ),
  one('body-space', 'A space behind the body.', (bench) => ({ sentBody: `${bench.body()} ` }), MISMATCH),
  inBody('signed-space', 'A space that is signed.', (body) => `${body} `),
  inBody('field-twice', 'A field twice.', (body) => body.replace('"moves":[]', '"moves":[],"moves":[]')),
  inBody('field-unknown', 'An unknown field.', (body) => body.replace('"moves"', '"more":1,"moves"')),
  inBody('field-prototype', 'The field __proto__.', (body) => body.replace('{', '{"__proto__":{},')),
  inBody('field-missing', 'A list is missing.', (body) => body.replace('"moves":[],', '')),
  inBody('escape', 'A letter as an escape.', (body) => body.replace('rules', '\\u0072ules')),
  inBody('order', 'Fields in another order.', (body) =>
    body.replace('"kind":"rules",', '').replace('}}', '}').replace(/}$/, ',"kind":"rules"}'),
  ),
  inBody('exponent', 'A number with exponent.', (body) => body.replace('"version":1', '"version":1e0')),
  inBody('version-2', 'Version 2.', (body) => body.replace('"version":1', '"version":2')),
  inBody('no-json', 'No JSON.', () => 'rules'),
  ...[
    ['hash-short', 'A trust hash of 47 bytes.', [{ hash: hash.slice(0, -2), since: 1 }]],
    ['hash-upper-case', 'Hex in upper case.', [{ hash: hash.replaceAll('ab', 'AB'), since: 1 }]],
    [
      'hash-twice',
      'A trust hash twice.',
      [
        { hash, since: 1 },
        { hash, since: 1 },
      ],
    ],
    ['since-late', 'First listed after it was issued.', [{ hash, since: Date.UTC(2027, 0, 1) }]],
    ['since-missing', 'No date of its first appearance.', [{ hash }]],
    ['number-beyond', 'A time above 2^53.', [{ hash, since: 2 ** 53 }]],
  ].map(([name, about, trustHashes]) =>
    one(String(name), String(about), (bench) => ({ body: bench.body({ trustHashes }) }), BODY),
  ),
];

const SS58 = '5CDvHBym6RLoxTdX9MS1acpaDbNxaFagqM5LpBiFGjWT6o1n';
const [low, high] = [`0x${'01'.repeat(32)}`, `0x${'02'.repeat(32)}`];
const moveCases: readonly FleetCase[] = [
  one('move-good', 'A move.', (bench) => ({
    body: bench.body({ moves: [{ account: SS58, from: low, to: high }] }),
  })),
  one(
    'move-back',
    'A move back while the move there is still listed: both machines would get the keys.',
    (bench) => ({
      body: bench.body({
        moves: [
          { account: SS58, from: low, to: high },
          { account: SS58, from: high, to: low },
        ],
      }),
    }),
    BODY,
  ),
  one(
    'move-to-itself',
    'A move to the platform that it leaves.',
    (bench) => ({
      body: bench.body({ moves: [{ account: SS58, from: low, to: low }] }),
    }),
    BODY,
  ),
  one(
    'signers-twice',
    'A key twice among those whose signatures are kept.',
    (bench) => ({
      body: bench.body({ signers: [low, low] }),
    }),
    BODY,
  ),
  one('signers-good', 'Names keys whose signatures are kept.', (bench) => ({
    body: bench.body({ signers: [low, high] }),
  })),
];

const list = JSON.stringify({ platforms: [], version: 1 });
const naming = (bench: FleetBench, text: string): string =>
  bench.body({ platforms: { endorsed: toPrefixedHex(sha256(utf8(text))) } });
const documentCases: readonly FleetCase[] = [
  one('list-good', 'A list of platforms.', (bench) => ({ body: naming(bench, list), endorsed: list })),
  one('list-missing', 'The list is not there.', (bench) => ({ body: naming(bench, list) }), MISMATCH),
  one(
    'list-other',
    'Another list.',
    (bench) => ({ body: naming(bench, list), endorsed: `${list} ` }),
    MISMATCH,
  ),
  one(
    'list-spelling',
    'A list in another spelling.',
    (bench) => ({ body: naming(bench, `${list} `), endorsed: `${list} ` }),
    BODY,
  ),
];

const successor = (bench: FleetBench, changes: object = {}): string =>
  JSON.stringify({
    kind: 'handover',
    successor: {
      id: toPrefixedHex(named('next', 16)),
      keys: [toPrefixedHex(bench.publicKey('n'))],
      threshold: 1,
      ...changes,
    },
    version: 1,
  });
const LAST = 2n ** 53n - 1n;
const DAY_MS = 86_400_000n;
const byNext = { authorityId: named('next', 16), serial: 1n };
const orderCases: readonly FleetCase[] = [
  {
    name: 'older',
    about: 'An older manifest after a newer one.',
    make: (bench) => [bench.file({ fields: { serial: 7n } }), bench.file({ fields: { serial: 6n } })],
    code: 'FLEET_SERIAL_OLDER',
  },
  {
    name: 'newer',
    about: 'A newer manifest, by other two of the keys.',
    make: (bench) => [bench.file(), bench.file({ fields: { serial: 9n }, by: ['b', 'c'] })],
  },
  {
    name: 'successor',
    about: 'The first manifest after a handover.',
    make: (bench) => {
      const last = bench.header(successor(bench), { serial: LAST });
      return [
        bench.file({ body: successor(bench) }),
        bench.file({ fields: { ...byNext, previous: sha256(last) }, by: ['n'] }),
      ];
    },
  },
  {
    name: 'successor-elsewhere',
    about: 'It does not name the handover.',
    make: (bench) => [bench.file({ body: successor(bench) }), bench.file({ fields: byNext, by: ['n'] })],
    code: 'FLEET_PREDECESSOR_OTHER',
  },
  {
    name: 'successor-too-early',
    about: 'A successor without its handover.',
    make: (bench) => [bench.file({ fields: byNext, by: ['n'] })],
    code: 'FLEET_AUTHORITY_OTHER',
  },
  {
    name: 'after-handover',
    about: 'The former authority signs after its handover.',
    make: (bench) => [bench.file({ body: successor(bench) }), bench.file({ fields: { serial: 6n } })],
    code: 'FLEET_AUTHORITY_OTHER',
  },
  {
    name: 'handover-too-early',
    about: 'A successor whose handover is not yet in effect: it is dated after the time of the chain.',
    make: (bench) => {
      const issuedAtMs = BigInt(bench.issuedAtMs) + DAY_MS + 1n;
      const last = bench.header(successor(bench), { serial: LAST, issuedAtMs });
      return [
        bench.file({ body: successor(bench), fields: { issuedAtMs } }),
        bench.file({ fields: { ...byNext, previous: sha256(last) }, by: ['n'] }),
      ];
    },
    code: 'FLEET_AUTHORITY_OTHER',
  },
  one(
    'handover-serial',
    'A handover with another serial than 2^53 - 1.',
    (bench) => ({
      body: successor(bench),
      fields: { serial: 6n },
    }),
    BODY,
  ),
  one(
    'rules-last-serial',
    'Rules with the serial of a handover: nothing could follow them.',
    () => ({
      fields: { serial: LAST },
    }),
    BODY,
  ),
  one(
    'serial-jump',
    'A serial 2^20 + 1 above the minimum: who steals keys would use the serials up.',
    () => ({
      fields: { serial: 5n + 2n ** 20n + 1n },
    }),
    'FLEET_SERIAL_TOO_HIGH',
  ),
  one('serial-far', 'A serial 2^20 above the minimum.', () => ({ fields: { serial: 5n + 2n ** 20n } })),
  {
    name: 'serial-jump-later',
    about: 'A serial 2^20 + 1 above the newest manifest.',
    make: (bench) => [
      bench.file({ fields: { serial: 9n } }),
      bench.file({ fields: { serial: 9n + 2n ** 20n + 1n } }),
    ],
    code: 'FLEET_SERIAL_TOO_HIGH',
  },
  one(
    'issued-ahead',
    'Issued three days after the time of the chain.',
    (bench) => ({
      fields: { issuedAtMs: BigInt(bench.issuedAtMs) + 4n * DAY_MS },
    }),
    'FLEET_ISSUED_AHEAD',
  ),
  {
    name: 'handover-to-itself',
    about: 'An authority hands over to its own id.',
    make: (bench) => [bench.file({ body: successor(bench, { id: bench.section.id }) })],
    code: BODY,
  },
  {
    name: 'handover-small-order',
    about: 'A successor whose key has signatures that anybody can make.',
    make: (bench) => [bench.file({ body: successor(bench, { keys: [`0x${'00'.repeat(32)}`] }) })],
    code: BODY,
  },
];

/** Good manifests, and manifests with one defect each. */
export const fleetCases: readonly FleetCase[] = [
  one('good', 'A good manifest.', () => ({})),
  one('good-all-keys', 'All keys sign, and one of others.', () => ({ by: ['a', 'b', 'c', 'x'] })),
  ...headerCases,
  ...signatureCases,
  ...bodyCases,
  ...moveCases,
  ...documentCases,
  ...orderCases,
];
