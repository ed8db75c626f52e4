import { Placement } from '../src/ring/placement/placement.ts';
import { compareDistance } from '../src/ring/placement/position.ts';
import { Dice } from '../test/support/dice.ts';
import { randomMember, randomMembers } from '../test/support/ring-members.ts';
import type { Bench, Report } from './harness.ts';
import { measure } from './harness.ts';
import { benchJoin } from './ring-join.ts';
import { benchNodes } from './ring-nodes.ts';

const JOINS = Number(process.env['RING_JOINS'] ?? 1000);
const SIZES = [10, 100, 1000, 10_000];

/** Joins for which all of R(id) is computed again, to check the shorter way. */
const CHECKED_JOINS = 10;

/**
 * Copies that one join moves, as a share of the copies that the joiner holds when all hold equally many. With a platform and
 * a stash of its own it takes the place of the last holder of each id to which it is nearer.
 */
function movementPerJoin(dice: Dice, size: number): number {
  const members = randomMembers(dice, size);
  const before = new Placement(members);
  const records = Math.max(200, size / 5);
  const known = Array.from({ length: records }, () => {
    const id = dice.bytes(32);
    return { id, replicas: before.replicasOf(id) };
  });
  let moved = 0;
  for (let join = 0; join < JOINS; join++) {
    const joiner = randomMember(dice);
    const taken = known.filter(({ id, replicas }) => {
      const last = replicas.at(-1);
      return last === undefined || compareDistance(id, joiner.position, last.position) < 0;
    }).length;
    if (join < CHECKED_JOINS) {
      const after = new Placement([...members, joiner]);
      const counted = known.reduce(
        (sum, { id, replicas }) =>
          sum + after.replicasOf(id).filter((member) => !replicas.includes(member)).length,
        0,
      );
      if (counted !== taken) throw new Error(`a join moves ${counted} copies instead of ${taken}`);
    }
    moved += taken;
  }
  const ideal = (records * before.replicas) / (size + 1);
  return moved / JOINS / ideal;
}

/** Copies that joins move, and how fast R(id) is found. */
async function benchPlacement(report: Report): Promise<void> {
  const dice = new Dice(1);
  for (const size of SIZES) {
    const placement = new Placement(randomMembers(dice, size));
    const ids = Array.from({ length: 256 }, () => dice.bytes(32));
    report.result(
      `R(id) among ${size} members`,
      await measure((turn) => placement.replicasOf(ids[turn % 256] ?? new Uint8Array(32)), 500),
    );
    report.target(
      `copies moved per join of ${size}, ${JOINS} joins, to the ideal share`,
      movementPerJoin(dice, size),
      { atMost: 1.1 },
    );
  }
}

const parts: Readonly<Record<string, (report: Report) => Promise<void>>> = {
  placement: benchPlacement,
  nodes: benchNodes,
  join: benchJoin,
};
/** The join to 100,000 records takes longest, so the parts can be run one by one. */
const PARTS = (process.env['RING_PARTS'] ?? Object.keys(parts).join()).split(',');

/** Movement of copies at a join, how fast R(id) is found, deploys and the relay, joins and repair. */
export const bench: Bench = {
  name: 'ring',
  async run(report: Report) {
    for (const part of PARTS) {
      const run = parts[part];
      if (run === undefined) throw new RangeError(`RING_PARTS has ${part}; there are: ${Object.keys(parts)}`);
      await run(report);
    }
  },
};
