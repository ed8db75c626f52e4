import type { Reporter, TestModule } from 'vitest/node';

/** Closes the output of a run with one plain line that any tool can read. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'pending') counts.skipped++;
        else counts[state]++;
        if (state === 'failed') failedHere++;
      }
      // A file that fails before any of its tests ran is a failure too.
      if (module.state() === 'failed' && failedHere === 0) counts.failed++;
    }
    // After the default reporter, which prints its summary in the same turn.
    process.once('exit', () => {
      console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    });
  }
}
