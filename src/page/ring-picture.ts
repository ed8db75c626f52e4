import type { PageData } from '../http/page-data.ts';
import { svg } from './dom.ts';
import { markOf, type Slot } from './slot-mark.ts';

const SIZE = 360;
const CENTRE = SIZE / 2;
const RADIUS = 128;
/** Most nodes in the picture; the tables below it have all. */
const MAX_DRAWN = 24;

interface Drawn {
  readonly account: string;
  readonly slot: Slot | undefined;
  readonly client: NonNullable<PageData['serving']>['clients'][number] | undefined;
}

/** The node in the middle, its servers and its clients around it. */
export function ringPicture({ status, serving }: PageData): SVGElement {
  const drawn = nodesOf(status.slots ?? [], serving?.clients ?? []).slice(0, MAX_DRAWN);
  const points = drawn.map((node, index) => ({ ...node, ...pointAt(index, drawn.length) }));
  const servers = drawn.filter(({ slot }) => slot !== undefined);
  const live = servers.filter(({ slot }) => slot?.standing === 'live').length;
  const clients = drawn.filter(({ client }) => client !== undefined).length;
  const label = `This node with ${servers.length} servers, ${live} of them live, and ${clients} clients; the tables below say the same.`;
  return svg(
    'svg',
    { viewBox: `0 0 ${SIZE} ${SIZE}`, role: 'img', 'aria-label': label, class: 'ring' },
    svg('circle', { cx: CENTRE, cy: CENTRE, r: RADIUS, class: 'orbit' }),
    points.map(({ slot, x, y }) =>
      slot === undefined
        ? undefined
        : svg('line', { x1: CENTRE, y1: CENTRE, x2: x, y2: y, class: `spoke ${markOf(slot).kind}` }),
    ),
    svg('circle', { cx: CENTRE, cy: CENTRE, r: 42, class: `self ${status.ready ? 'good' : 'warn'}` }),
    svg('text', { x: CENTRE, y: CENTRE - 2, class: 'label' }, status.state),
    svg('text', { x: CENTRE, y: CENTRE + 14, class: 'label small' }, quorumOf(status)),
    points.map(node),
  );
}

function node({
  account,
  slot,
  client,
  x,
  y,
}: Drawn & { readonly x: number; readonly y: number }): SVGElement {
  const { kind, sign } = slot === undefined ? { kind: 'none', sign: '' } : markOf(slot);
  const below = y >= CENTRE;
  return svg(
    'g',
    {},
    client === undefined
      ? undefined
      : svg('circle', { cx: x, cy: y, r: 21, class: client.isAtRisk ? 'client bad' : 'client' }),
    svg('circle', { cx: x, cy: y, r: 16, class: `server ${kind}` }),
    svg('text', { x, y: y + 5, class: `sign ${kind}` }, sign),
    svg('text', { x, y: below ? y + 36 : y - 27, class: 'label small' }, account.slice(-5)),
  );
}

function quorumOf({ live, n, t, have, need }: PageData['status']): string {
  if (live !== undefined && n !== undefined && t !== undefined) return `${live}/${n}, t ${t}`;
  return have === undefined || need === undefined ? '' : `${have} of ${need}`;
}

function nodesOf(
  slots: readonly Slot[],
  clients: NonNullable<PageData['serving']>['clients'],
): readonly Drawn[] {
  const accounts = [
    ...new Set([...slots.map(({ server }) => server), ...clients.map(({ account }) => account)]),
  ];
  return accounts.map((account) => ({
    account,
    slot: slots.find(({ server }) => server === account),
    client: clients.find((client) => client.account === account),
  }));
}

/** The first at the top, then clockwise. */
function pointAt(index: number, count: number): { readonly x: number; readonly y: number } {
  const angle = (2 * Math.PI * index) / Math.max(1, count) - Math.PI / 2;
  return { x: CENTRE + RADIUS * Math.cos(angle), y: CENTRE + RADIUS * Math.sin(angle) };
}
