import { lossInGroup } from './survival-model.ts';

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [640, 380, 56, 48, 16, 110];
const curves = [
  { nodes: 4, text: '4 nodes, 2 of 3', colour: '#b4540a' },
  { nodes: 5, text: '5 nodes, 3 of 4', colour: '#8a1c5a' },
  { nodes: 10, text: '10 nodes, 3 of 5', colour: '#1b6e3c' },
  { nodes: 1_000, text: '1,000 nodes, 3 of 5', colour: '#1d4f9c' },
] as const;

const x = (share: number): number => LEFT + share * (WIDTH - LEFT - RIGHT);
const y = (chance: number): number => HEIGHT - BOTTOM - chance * (HEIGHT - BOTTOM - TOP);
const at = (horizontal: number, vertical: number): string =>
  `${horizontal.toFixed(1)},${vertical.toFixed(1)}`;

function curve({ nodes, text, colour }: (typeof curves)[number], index: number): string {
  const groups = nodes <= 10 ? nodes : 100;
  const points = Array.from({ length: groups }, (_, step) => {
    const share = (step + 1) / groups;
    return at(x(share), y(lossInGroup(nodes, Math.round(nodes * share))));
  });
  const label = `<text x="${WIDTH - RIGHT + 6}" y="${TOP + 14 + 18 * index}" fill="${colour}">${text}</text>`;
  return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>\n${label}`;
}

/** The figure of docs/survival.md. */
export function plotOf(): string {
  const marks = [0, 0.25, 0.5, 0.75, 1];
  const grid = marks.flatMap((mark) => [
    `<path d="M${at(x(0), y(mark))} H${x(1)}" stroke="#ccc"/>`,
    `<text x="${LEFT - 8}" y="${(y(mark) + 4).toFixed(1)}" text-anchor="end">${100 * mark} %</text>`,
    `<text x="${x(mark).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${100 * mark} %</text>`,
  ]);
  const titles = [
    `<text x="${x(0.5)}" y="${HEIGHT - 10}" text-anchor="middle">share of the nodes that fail in one moment</text>`,
    `<text x="14" y="${y(0.5)}" text-anchor="middle" transform="rotate(-90 14 ${y(0.5)})">store lost</text>`,
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH + 30} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    '<title>How likely a node loses its store when a share of all nodes fails in one moment</title>',
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...grid,
    ...curves.map(curve),
    ...titles,
    '</svg>\n',
  ].join('\n');
}
