import type { PageData, ShownFleet, ShownFleetNode, ShownStatus } from '../../src/http/page-data.ts';
import { accountNamed } from './fleet-answers.ts';

const names = ['alpha', 'bravo', 'carol', 'delta', 'echo'];
const slot = (name: string, standing = 'live') => ({
  server: accountNamed(name),
  endpoint: `${name}.example:3001`,
  standing,
});

const backed: ShownStatus = {
  mode: 'production',
  state: 'backed',
  ready: true,
  summary: 'backed (5 of 5 slots live, 3 needed)',
  advice: ['Its store is backed: up to 2 of its 5 key servers may lose their memory at once.'],
  accountId: accountNamed('self'),
  live: 5,
  n: 5,
  t: 3,
  generation: 7,
  slots: names.map((name) => slot(name)),
  clients: 4,
  clientsAtRisk: 0,
  tcbWarnings: { checkedAt: '2026-11-30T18:00:00.000Z', summary: '' },
  fleet: { authority: 'example', manifest: { serial: 12 }, serversBehind: 1 },
  audit: { sequence: 4211, behind: 0 },
};

/** A node in good order. */
export const backedPage: PageData = {
  readAt: '2026-11-30T20:00:00.000Z',
  status: backed,
  serving: {
    clients: ['alpha', 'bravo', 'foxtrot', 'golf'].map((name) => ({
      account: accountNamed(name),
      keys: 1,
      isAtRisk: false,
    })),
    notListed: 0,
  },
  chain: { block: 8_112_334, ageMs: 9_000 },
  collateral: [
    {
      fmspc: '00806F050000',
      ca: 'platform',
      state: 'fresh',
      validUntilMs: Date.parse('2026-12-20T00:00:00Z'),
      tcbEvaluationDataNumber: 17,
      origin: 'https://api.trustedservices.intel.com',
      refreshAtMs: undefined,
      lastFailure: undefined,
    },
  ],
  disk: { storeBytes: 41_234_432, liveBytes: 12_334_432, freeBytes: 81_234_432_000, takesWrites: true },
  refusals: [],
};

/** A node whose operator has to read: few slots, a client at risk, refusals. */
export const degradedPage: PageData = {
  ...backedPage,
  status: {
    ...backed,
    state: 'degraded',
    ready: false,
    summary: 'degraded (2 of 5 slots live, 3 needed; 1 at servers that drain)',
    advice: [
      'Do not restart this node now: only 2 of the 3 slots that it needs are live. It is making a new generation of slots; help it by bringing key servers back.',
      'Fleet manifest 13 is signed, but no source gives it: until it is here, no new permission takes effect.',
    ],
    live: 2,
    slots: [
      slot('alpha'),
      slot('bravo', 'draining'),
      slot('carol', 'unreachable (ECONNREFUSED)'),
      slot('delta', 'forgot its key (KEY_UNKNOWN)'),
      slot('echo', 'asked'),
    ],
    clientsAtRisk: 1,
    olderGenerationOpen: [{ generation: 6, needed: 3, unanswered: [accountNamed('carol')] }],
    tcbWarnings: {
      checkedAt: '2026-11-30T18:00:00.000Z',
      summary: '2 of your 5 servers will be refused from about 2027-08-12',
    },
    fleet: { authority: 'example', manifest: { serial: 12 }, awaited: { serial: 13 } },
  },
  serving: {
    clients: ['alpha', 'bravo', 'foxtrot', 'golf'].map((name) => ({
      account: accountNamed(name),
      keys: 1,
      isAtRisk: name === 'golf',
    })),
    notListed: 0,
  },
  refusals: [
    {
      at: '2026-11-30T19:58:12.000Z',
      code: 'TCB_STATUS_REFUSED',
      meaning: 'The policy does not accept this TCB status.',
      detail: 'TCB status OutOfDate is not accepted; the platform needs a newer microcode',
      requestId: '0123456789abcdef',
    },
    {
      at: '2026-11-30T19:41:55.000Z',
      code: 'MEASUREMENT_REFUSED',
      meaning: 'The image is not accepted.',
      detail: 'measurement 0x7c9f… is not the own one',
      requestId: '1123456789abcdef',
    },
  ],
};

const LONG = 'x'.repeat(10_000);
const MARKUP = '<img src=x onerror="globalThis.hit=1"><script>globalThis.hit=1</script>';

/** All texts that come from elsewhere are markup, have 10,000 characters, or turn the direction of writing. */
export const hostilePage: PageData = {
  ...degradedPage,
  status: {
    ...degradedPage.status,
    summary: `degraded ${MARKUP}`,
    advice: [`Last attempt: ${MARKUP}${LONG}`, '\u202egnp.exe'],
    accountId: MARKUP,
    mode: MARKUP,
    slots: [
      { server: MARKUP, endpoint: MARKUP, standing: MARKUP },
      { server: LONG, endpoint: LONG, standing: LONG },
      { server: 'javascript:globalThis.hit=1', endpoint: '\u0000\u001b[2J', standing: 'live' },
    ],
    restartRefusal: MARKUP,
    fleet: { authority: MARKUP, waiting: [{ entry: MARKUP, at: LONG }] },
    tcbWarnings: { checkedAt: MARKUP, summary: MARKUP },
    storeFault: { code: MARKUP, detail: LONG },
  },
  serving: { clients: [{ account: MARKUP, endpoint: LONG, keys: 1, isAtRisk: true }], notListed: 3 },
  refusals: [{ at: MARKUP, code: MARKUP, meaning: LONG, detail: MARKUP + LONG, requestId: MARKUP }],
};

const fleetNode = (name: string, other: Partial<ShownFleetNode> = {}): ShownFleetNode => ({
  target: name === 'self' ? 'this node, self.example:3001' : `http://${name}.example:3001`,
  account: accountNamed(name),
  state: 'backed',
  summary: 'backed (5 of 5 slots live, 3 needed)',
  ready: true,
  restart: 'yes',
  reasons: [],
  moreReasons: 0,
  atRisk: [],
  atRiskCount: 0,
  ...other,
});

/** A fleet in which each node may be restarted. */
export const calmFleet: ShownFleet = {
  isAsking: false,
  askedAt: '2026-11-30T20:00:00.000Z',
  nodes: ['self', ...names].map((name) => fleetNode(name)),
  order: ['http://bravo.example:3001', 'this node, self.example:3001', 'http://alpha.example:3001'],
};

/** A fleet in which one node is silent and another one needs all its servers. */
export const troubledFleet: ShownFleet = {
  ...calmFleet,
  nodes: [
    fleetNode('self', {
      restart: 'no',
      reasons: [
        `the store of ${accountNamed('bravo')} has 2 live slots without this server and needs 3`,
        'http://delta.example:3001 may need its slot: no answer: fetch failed: connect ECONNREFUSED',
      ],
      moreReasons: 3,
      atRisk: [accountNamed('bravo')],
      atRiskCount: 4,
    }),
    fleetNode('alpha'),
    fleetNode('bravo', {
      state: 'degraded',
      summary: 'degraded (3 of 5 slots live, 3 needed)',
      ready: false,
      restart: 'no',
      reasons: ['its own store has 2 live slots and needs 3'],
      atRiskCount: 2,
    }),
    {
      target: 'http://delta.example:3001',
      account: accountNamed('delta'),
      summary: 'no answer: fetch failed: connect ECONNREFUSED',
      ready: false,
      restart: 'unknown',
      reasons: ['no answer: fetch failed: connect ECONNREFUSED'],
      moreReasons: 0,
      atRisk: [],
      atRiskCount: 0,
    },
  ],
  order: ['http://alpha.example:3001'],
};

/** All texts of other nodes are markup or very long. */
export const hostileFleet: ShownFleet = {
  isAsking: true,
  askedAt: MARKUP,
  nodes: [MARKUP, LONG, 'javascript:globalThis.hit=1'].map((text) => ({
    target: text,
    account: text,
    state: text,
    summary: text,
    ready: true,
    restart: 'no',
    reasons: [text, '\u202egnp.exe\u001b[2J'],
    moreReasons: 1,
    atRisk: [text],
    atRiskCount: 1,
  })),
  order: [MARKUP, LONG],
};
