import { countOf } from '../bytes/count-of.ts';
import type { PageData } from '../http/page-data.ts';
import { type Content, code, el, facts, list, section, table } from './dom.ts';
import { ringPicture } from './ring-picture.ts';
import { markOf, type Slot } from './slot-mark.ts';
import { age, bytes, time } from './units.ts';

type Status = PageData['status'];

/** The view of one node, as elements. */
export function nodeView(data: PageData): readonly HTMLElement[] {
  const { status } = data;
  return [
    stateSection(status),
    section(
      'Servers and clients',
      el('div', { class: 'split' }, ringPicture(data), legend()),
      el('h3', {}, 'Servers that hold its slots'),
      slotTable(status.slots ?? []),
      el('h3', {}, 'Whom it serves'),
      clientsOf(data),
    ),
    el(
      'div',
      { class: 'cards' },
      section('Generations', ...generations(status)),
      section('Chain', chainOf(data)),
      section('Collateral', ...collateralOf(data)),
      section('Early warning', earlyWarning(status)),
      section('Fleet', fleetOf(status)),
      section('Disk', diskOf(data)),
      ...(status.ring === undefined ? [] : [section('Ring', ringOf(status.ring))]),
    ),
    section('Refused requests', refusalsOf(data)),
  ];
}

function accountOf(account: string | undefined, byKeyslots: string | undefined): Content {
  if (account !== undefined) return code(account);
  return byKeyslots === undefined
    ? 'not known while the store is closed'
    : [code(byKeyslots), ' by the keyslot file'];
}

function stateSection(status: Status): HTMLElement {
  const { ready, summary, cause, advice, accountId, keyslotAccount, mode, waitingForFormerClients } = status;
  return section(
    'State',
    el(
      'p',
      { class: 'state' },
      el('strong', { class: `badge ${ready ? 'good' : 'warn'}` }, ready ? 'ready' : 'not ready'),
      ' ',
      el('span', { id: 'summary' }, summary),
    ),
    mode === 'production' ? undefined : el('p', { class: 'badge bad' }, mode),
    el('h3', {}, 'What to do'),
    el('ul', { id: 'advice' }, ...advice.map((sentence) => el('li', {}, sentence))),
    facts([
      ['Cause', cause === undefined ? undefined : el('span', { id: 'cause' }, cause)],
      ['Account', accountOf(accountId, keyslotAccount)],
      [
        'Waits for',
        waitingForFormerClients === undefined
          ? undefined
          : `${countOf(waitingForFormerClients, 'client')} from before the last restart`,
      ],
      ['Draining', drainingOf(status)],
    ]),
  );
}

const drainingOf = ({ draining }: Status): string | undefined =>
  draining === undefined
    ? undefined
    : `needed by ${draining.remaining}, ${draining.moved} moved, ${draining.unmovable} cannot move`;

function legend(): HTMLElement {
  const row = (kind: string, sign: string, meaning: string) =>
    el('li', {}, el('span', { class: `sign-box ${kind}`, 'aria-hidden': 'true' }, sign), ' ', meaning);
  return el(
    'ul',
    { class: 'legend' },
    row('good', '✓', 'holds a slot of this store'),
    row('warn', '↷', 'holds a slot, and is to be stopped'),
    row('warn', '!', 'gives its slot to another platform only'),
    row('bad', '✗', 'does not show that it holds its slot'),
    row('open', '?', 'asked, no answer yet'),
    row('client', '', 'outer circle: has keys here'),
    row('client bad', '', 'red outer circle: at risk if this node stops now'),
  );
}

function slotTable(slots: readonly Slot[]): HTMLElement {
  if (slots.length === 0) return el('p', { class: 'quiet' }, 'No slots are known in this state.');
  return table(
    'Servers that hold its slots',
    ['Server', 'Address', 'Standing'],
    slots.map((slot) => {
      const { kind, sign } = markOf(slot);
      const elsewhere = slot.isBoundElsewhere ? ', bound to another platform' : '';
      return [
        code(slot.server),
        slot.endpoint ?? '–',
        [
          el('span', { class: `sign-box ${kind}`, 'aria-hidden': 'true' }, sign),
          ' ',
          `${slot.standing}${elsewhere}`,
        ],
      ];
    }),
  );
}

function clientsOf({ serving, status }: PageData): HTMLElement {
  const { clients, clientsAtRisk } = status;
  if (serving === undefined) return el('p', { class: 'quiet' }, 'The node serves nobody in this state.');
  if (serving.clients.length === 0) return el('p', { class: 'quiet' }, 'No node has keys here.');
  const risk =
    clientsAtRisk === 0
      ? 'No store would fall below its threshold if this node stopped now, by the reports of its clients.'
      : `Stores that would fall below their threshold if this node stopped now: ${clientsAtRisk}. Do not stop it.`;
  const more = serving.notListed === 0 ? undefined : el('p', {}, `and ${serving.notListed} more`);
  return el(
    'div',
    {},
    el(
      'p',
      { class: clientsAtRisk === 0 ? 'good-text' : 'bad-text', id: 'risk' },
      `Clients: ${clients}. ${risk}`,
    ),
    table(
      'Whom it serves',
      ['Client', 'Keys', 'If this node stops now'],
      serving.clients.map(({ account, keys, isAtRisk }) => [
        code(account),
        `${keys}`,
        isAtRisk ? el('strong', { class: 'bad-text' }, 'at risk') : 'keeps enough slots',
      ]),
    ),
    more,
  );
}

function generations(status: Status): readonly HTMLElement[] {
  const {
    generation,
    n,
    t,
    live,
    olderGenerationOpen = [],
    formerLineageOpen = [],
    olderDropped = 0,
  } = status;
  const quorum = n === undefined ? undefined : `${live} of ${n} live, ${t} needed`;
  return [
    facts([
      ['Newest', generation === undefined ? 'not known in this state' : `${generation}`],
      ['Slots', quorum],
      ['Given up', olderDropped === 0 ? undefined : `${olderDropped} older ones, because the list was full`],
    ]),
    list(
      [
        ...olderGenerationOpen.map(
          ({ generation: old, unanswered }) =>
            `generation ${old} is open: no answer from ${unanswered.join(', ')}`,
        ),
        ...formerLineageOpen.map(
          ({ incarnation, unanswered }) =>
            `the store key before boot ${incarnation} is not closed: no answer from ${unanswered.join(', ')}`,
        ),
      ],
      'No older generation is open.',
    ),
  ];
}

const chainOf = ({ chain }: PageData): HTMLElement =>
  facts([
    ['Finalized block', chain.block === 0 ? 'none yet' : `${chain.block}`],
    ['Age', chain.ageMs === undefined ? 'not known' : age(chain.ageMs)],
  ]);

function collateralOf({ collateral, readAt }: PageData): readonly HTMLElement[] {
  if (collateral.length === 0) return [el('p', { class: 'quiet' }, 'No collateral was asked for yet.')];
  const now = Date.parse(readAt);
  return collateral.map(({ fmspc, ca, state, validUntilMs, tcbEvaluationDataNumber, lastFailure }) =>
    facts([
      ['Platform', `${fmspc}, ${ca}`],
      [
        'State',
        el(
          'span',
          { class: `badge ${state === 'fresh' ? 'good' : state === 'grace' ? 'warn' : 'bad'}` },
          state,
        ),
      ],
      [
        'Valid for',
        validUntilMs === undefined ? undefined : validUntilMs < now ? 'ended' : age(validUntilMs - now),
      ],
      ['TCB evaluation', tcbEvaluationDataNumber === undefined ? undefined : `${tcbEvaluationDataNumber}`],
      ['Last failure', lastFailure],
    ]),
  );
}

function earlyWarning({ tcbWarnings }: Status): HTMLElement {
  if (tcbWarnings === undefined) return el('p', { class: 'quiet' }, 'Not looked yet.');
  const { summary, checkedAt } = tcbWarnings;
  return facts([
    ['Warning', summary === '' ? 'none' : el('strong', { class: 'bad-text' }, summary)],
    ['Looked', time(checkedAt)],
  ]);
}

function fleetOf({ fleet }: Status): HTMLElement {
  if (fleet === undefined) return el('p', { class: 'quiet' }, 'The trust section names no authority.');
  const { manifest, awaited, conflict, handover, serversBehind = 0, waiting = [], ending = [] } = fleet;
  return facts([
    ['Serial', manifest === undefined ? 'none yet' : `${manifest.serial}`],
    ['Awaited', awaited === undefined ? undefined : `${awaited.serial}`],
    ['Conflict', conflict === undefined ? undefined : `two manifests of serial ${conflict.serial}`],
    ['Servers behind', `${serversBehind}`],
    ['Handover', handover && `to ${handover.to}: ${handover.takesEffect}`],
    ['Takes effect', waiting.length === 0 ? undefined : list(waiting.map(timed), '')],
    ['Ends soon', ending.length === 0 ? undefined : list(ending.map(timed), '')],
  ]);
}

const timed = ({ entry, at }: { readonly entry: string; readonly at: string }): string => `${entry}: ${at}`;

function diskOf({
  disk,
  status: { storeFault, storeCheckpointIgnored = false, audit },
}: PageData): HTMLElement {
  if (disk === undefined) return el('p', { class: 'quiet' }, 'The store is closed.');
  const fault = storeFault === undefined ? undefined : `${storeFault.code}: ${storeFault.detail}`;
  return facts([
    ['Store', `${bytes(disk.storeBytes)}, ${bytes(disk.liveBytes)} in force`],
    ['Free', disk.freeBytes === undefined ? 'not known' : bytes(disk.freeBytes)],
    ['Writes', disk.takesWrites ? 'taken' : el('strong', { class: 'bad-text' }, 'refused until a restart')],
    ['Fault', fault],
    [
      'Checkpoint',
      storeCheckpointIgnored ? el('strong', { class: 'bad-text' }, 'altered or gone; ignored') : undefined,
    ],
    [
      'Audit log',
      audit === undefined ? undefined : `${audit.sequence} entries, ${audit.behind} not written yet`,
    ],
  ]);
}

const ringOf = ({ standing, members, records, bytes: size }: NonNullable<Status['ring']>): HTMLElement =>
  facts([
    ['Standing', standing],
    ['Members', `${members}`],
    ['Records here', `${records}, ${bytes(size)}`],
  ]);

function refusalsOf({ refusals }: PageData): HTMLElement {
  if (refusals.length === 0) return el('p', { class: 'quiet' }, 'None since the store was opened.');
  return table(
    'Refused requests',
    ['Time', 'Code', 'Reason'],
    refusals.map(({ at, code: name, meaning, detail }) => [
      time(at),
      code(name),
      [el('span', {}, detail), el('br'), el('span', { class: 'quiet' }, meaning)],
    ]),
  );
}
