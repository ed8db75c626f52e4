import { playStorm, type StormSetting } from './storm-model.ts';

const SEED = 20261201;
const NODES = 10_000;
const KEPT = 0.8;
/** As in `AdmissionQueue`: a line of four seconds, of which a quarter is for others. */
const PLACES = 3_000;
const FEW_PLACES = 32;
const SERVERS = [10_000, 500, 50, 20, 7] as const;

const setting = (servers: number, cores: number, places: number): StormSetting => ({
  nodes: NODES,
  servers,
  kept: KEPT,
  cores,
  places,
  seed: SEED,
});

const number = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 });
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;

/** `docs/storm.md`. */
export function stormPage(): string {
  const rows = SERVERS.flatMap((servers) =>
    [1, 4].map((cores) => {
      const { halfMs, almostAllMs, requests, refused, waiting } = playStorm(setting(servers, cores, PLACES));
      const cells = [number(servers), cores, seconds(halfMs), seconds(almostAllMs), number(requests)];
      return `| ${[...cells, number(refused), number(waiting), `${number((waiting * 16) / 1024)} MiB`].join(' | ')} |`;
    }),
  );
  const compared = [FEW_PLACES, PLACES].map((places) => {
    const { halfMs, almostAllMs, wasted } = playStorm(setting(20, 1, places));
    return `| ${number(places)} | ${seconds(halfMs)} | ${seconds(almostAllMs)} | ${number(wasted)} |`;
  });
  return `# A whole network starts at once

Made by \`npm run storm\` (seed ${SEED}); do not edit. ${number(NODES)} nodes lose power and start in the same moment; of the machines that serve keys, each kept its memory with a chance of ${100 * KEPT} %. Each store has slots at 5 servers and needs 3. The nodes that can open at all do: this page is about how long it takes. The others stay locked, whatever the load ([which failures a store survives](survival.md)).

The model knows requests, lines and time. It takes 1 ms for a key with all checks and 0.08 ms for a refusal, both more than measured ([results](../bench/RESULTS.md)), 20 to 40 ms for a quote, and the waits of a locked node (8 s for an answer, 1 s before the next attempt, doubling, give or take a quarter). A node that is open asks 5 servers for new slots at once. It does not know the chain, Intel's collateral, and quotes that take a second. Four cores are what four nodes on one machine could do: one verifies in one thread ([why](decisions.md)).

| servers | cores | half are open | 99.9 % are open | requests to the busiest | refused there | most that wait | their memory |
|---|---|---|---|---|---|---|---|
${rows.join('\n')}

Where all nodes serve, no server notices: each is asked by as many nodes as have slots there. Only a network in which few serve many has a storm.

![How many nodes are open, by time, with 20 servers](storm.svg)

## How many may wait
The first version let ${FEW_PLACES} requests wait, of locked nodes and of others. This model showed that this makes a storm longer: a refused node throws away the keys that it got from the others, and comes again later. So locked nodes have a line of their own, of four seconds, and the short line is for those that only make new slots ([overload](operations.md#overload)). 20 servers, one core:

| locked nodes that may wait | half are open | 99.9 % are open | keys for callers who had given up |
|---|---|---|---|
${compared.join('\n')}
`;
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [640, 340, 56, 48, 16, 150];
const SHOWN_S = 15;
const curves = [
  { places: PLACES, cores: 4, text: '4 cores', colour: '#1b6e3c' },
  { places: PLACES, cores: 1, text: '1 core', colour: '#1d4f9c' },
  { places: FEW_PLACES, cores: 1, text: `1 core, ${FEW_PLACES} may wait`, colour: '#b4540a' },
] as const;

/** The figure of docs/storm.md. */
export function stormPlot(): string {
  const x = (second: number): number => LEFT + (second / SHOWN_S) * (WIDTH - LEFT - RIGHT);
  const y = (share: number): number => HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);
  const lines = curves.map(({ places, cores, text, colour }, index) => {
    const { openable, openByTenth } = playStorm(setting(20, cores, places));
    const points = openByTenth
      .slice(0, 10 * SHOWN_S)
      .map((open, tenth) => `${x((tenth + 1) / 10).toFixed(1)},${y(open / openable).toFixed(1)}`);
    const label = `<text x="${WIDTH - RIGHT + 6}" y="${TOP + 14 + 18 * index}" fill="${colour}">${text}</text>`;
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>\n${label}`;
  });
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    `<path d="M${x(0)},${y(share).toFixed(1)} H${x(SHOWN_S)}" stroke="#ccc"/>`,
    `<text x="${LEFT - 8}" y="${(y(share) + 4).toFixed(1)}" text-anchor="end">${100 * share} %</text>`,
  ]);
  const times = [0, 5, 10, 15].map(
    (second) =>
      `<text x="${x(second).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${second} s</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    '<title>How many of 10,000 nodes are open, by time, when 20 servers serve them all</title>',
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...grid,
    ...times,
    ...lines,
    `<text x="${x(SHOWN_S / 2)}" y="${HEIGHT - 10}" text-anchor="middle">since the power came back</text>`,
    '</svg>\n',
  ].join('\n');
}
