import { runSchedule } from '../test/support/simulated-network-schedule.ts';

// A process of scripts/simulate.ts: takes seeds, gives reports, and ends when nobody is left to give them to.
process.on('message', (seed) => {
  void runSchedule(Number(seed)).then((report) => process.send?.(report));
});
process.once('disconnect', () => process.exit());
