import { adviceFor } from '../src/config/advice.ts';
import {
  lossAlone,
  lossInGroup,
  type Outcome,
  quorumOf,
  SurvivalModel,
  type World,
} from './survival-model.ts';

const SEED = 20_261_130;
const DOWN_S = 60;
const HEAL_S = 90;

const rateOf = ({ lost, restarts }: Outcome): number => lost / Math.max(1, restarts);

/** A share for people: `0`, `3 in 1,000,000`, `5.7 %`. */
function shareOf(chance: number): string {
  if (chance === 0) return '0';
  if (chance >= 0.001) return `${(100 * chance).toFixed(chance >= 0.1 ? 0 : 1)} %`;
  return `1 in ${Number((1 / chance).toPrecision(2)).toLocaleString('en-US')}`;
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const simulated = (world: Omit<World, 'downS' | 'healS'>, years: number): Outcome =>
  new SurvivalModel({ downS: DOWN_S, healS: HEAL_S, ...world }, SEED).run(years);

const count = (value: number): string => value.toLocaleString('en-US');

/** How likely a node that fails with others loses its store. */
function groups(): string {
  const shares = [0.1, 0.2, 0.25, 1 / 3, 0.5, 1];
  const rows = [5, 6, 10, 20, 50, 100, 1_000, 10_000].map((nodes) => {
    const { t, n } = quorumOf(nodes);
    const cells = shares.map((share) => {
      const group = Math.max(1, Math.round(nodes * share));
      return `${shareOf(lossInGroup(nodes, group))}`;
    });
    return [count(nodes), `${t} of ${n}`, ...cells];
  });
  return table(['nodes', 't of n', '10 %', '20 %', '25 %', '33 %', '50 %', 'all'], rows);
}

function groupsSimulated(): string {
  const cases = [
    { nodes: 20, group: 5, years: 60 },
    { nodes: 100, group: 33, years: 20 },
    { nodes: 1_000, group: 500, years: 1 },
  ];
  const rows = cases.map(({ nodes, group, years }) => {
    const outcome = simulated(
      { nodes, crashesPerYear: 0, group: { nodes: group, failuresPerYear: 52 } },
      years,
    );
    const { restarts, lost } = outcome;
    return [
      `${count(group)} of ${count(nodes)}`,
      shareOf(lossInGroup(nodes, group)),
      `${shareOf(rateOf(outcome))} (${count(lost)} of ${count(restarts)})`,
    ];
  });
  return table(['fail together', 'exact', 'simulated'], rows);
}

/** How likely one restart loses the store where nodes crash by themselves. */
function alone(): string {
  const times = [
    { text: 'back in 1 minute, healed in 1.5', downS: 60, healS: 90 },
    { text: 'back in 10 minutes, healed in 3', downS: 600, healS: 180 },
    { text: 'back in 1 hour, healed in 3 minutes', downS: 3_600, healS: 180 },
    { text: 'back in 1 day, healed in 3 minutes', downS: 86_400, healS: 180 },
  ];
  const rows = times.map(({ text, ...world }) => [
    text,
    ...[12, 52, 365].map((crashesPerYear) => shareOf(lossAlone({ nodes: 100, crashesPerYear, ...world }))),
  ]);
  return table(['a node is', 'monthly crashes', 'weekly', 'daily'], rows);
}

/** What a roll through the network costs that does not wait. */
function rolls(): string {
  const steps = [1, 10, 30, 60, 120, 180];
  const rows = [5, 10, 20, 50, 100, 1_000, 10_000].map((nodes) => {
    const perYear = nodes >= 1_000 ? 2 : 24;
    const cells = steps.map((stepS) =>
      shareOf(
        rateOf(simulated({ nodes, crashesPerYear: 0, rolls: { perYear, stepS } }, nodes >= 100 ? 2 : 20)),
      ),
    );
    return [count(nodes), ...cells];
  });
  return table(['nodes', ...steps.map((step) => `${step} s`)], rows);
}

/** The text of docs/survival.md. */
export const page = (): string => `# Which failures a store survives

Made by \`npm run survival\` (seed ${SEED}); do not edit. The model knows key servers and their memory alone: who has which slot, who restarts when, and how long it takes until a running node has replaced a slot that is gone. It assumes servers that are chosen at random, and tells the truth about nothing else: no enemy, no full disk. *Lost* means that fewer than t slots are left when the node asks: without [custody](custody.md) its store is lost, with custody the custodians open it.

Unless a table says otherwise a node is back ${DOWN_S} seconds after its crash, and a lost slot is replaced ${HEAL_S} seconds after that crash: the defaults look at all servers every 30 seconds (\`healing.intervalMs\`). A server that stays away is given up after 150 (\`healing.patienceMs\` and one look).

## How many may fail in one moment
The share of the nodes that fail together (a rack, a zone, a power cut), and how likely each of them loses its store. Exact (hypergeometric); the figure shows the curves.

${groups()}

![How likely a node that fails together with others loses its store](survival.svg)

The simulation says the same:

${groupsSimulated()}

- **n − t of the servers of a store may fail with it, always**: 2 of 5, 1 of 4 and of 3. In a network of 6 or more nodes any three machines may fail in one moment; in one of 4 or 5, any two.
- A total blackout loses every store, whatever its size. Only custodians help then.
- More nodes do not help against a zone that has a third of them: spread nodes over more zones than three.

## Crashes of single nodes
How likely one restart loses the store when each node of a network of 100 crashes by itself so often. An upper bound, exact for rare crashes (binomial).

${alone()}

A machine that is away for long is what costs: its slots are in the memory of servers that restart meanwhile. Start it again soon, or accept that custodians may be needed.

## Restarting a network, one node after the other
The share of restarts that lose a store when somebody restarts all nodes, one every so many seconds, **and does not wait for healing** (24 times a year; simulated).

${rolls()}

The remedy is not a longer step: \`latchkey drain\` and \`/readyz\` say when a node may stop. A network that is restarted so loses nothing at any speed.

## What to choose
\`latchkey config init --nodes N\` fills this in.

${choices()}

n and t follow from the number of key servers on the chain and cannot be chosen; \`trust.minimumThreshold\` is what a store never goes below, whatever the host shows.
`;

/** What `latchkey config init --nodes` fills in. */
function choices(): string {
  const rows = [2, 3, 4, 5, 6].map((nodes) => {
    const { t, n } = quorumOf(nodes);
    const advice = adviceFor(nodes);
    return [
      nodes === 6 ? '6 and more' : count(nodes),
      `${t} of ${n}`,
      `${advice.minimumThreshold}${advice.bootstrap ? ', with `bootstrap`' : ''}`,
      `${n - t + 1}`,
      advice.bootstrap ? 'for development: one other machine opens the store' : 'custody against a blackout',
    ];
  });
  return table(
    ['nodes', 't of n', '`minimumThreshold`', 'machines, any, that may fail in one moment', 'besides'],
    rows,
  );
}
