import { type LifeOptions, runSchedule } from '../test/support/simulated-network-schedule.ts';

// A process of scripts/simulate.ts: receives lives to run, sends reports, and exits when its parent process is gone.
process.on('message', (life) => {
  // The parent process sends nothing else.
  const { seed, options } = life as { readonly seed: number; readonly options: LifeOptions };
  void runSchedule(seed, options).then((report) => process.send?.(report));
});
process.once('disconnect', () => process.exit());
