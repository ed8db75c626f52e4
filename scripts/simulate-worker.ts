import { runSchedule } from '../test/support/simulated-network-schedule.ts';

// A process of scripts/simulate.ts: receives seeds, sends reports, and exits when its parent process is gone.
process.on('message', (seed) => {
  void runSchedule(Number(seed)).then((report) => process.send?.(report));
});
process.once('disconnect', () => process.exit());
