import { VitestTestRunner } from 'vitest/runners';

type Test = Parameters<VitestTestRunner['onAfterRunTask']>[0];

/**
 * Leaves out the rest of a test file after its first failure. Vitest's own `bail` tells the main process, whose answer
 * can come late and end the next run of a process that is kept.
 */
export default class FirstFailureRunner extends VitestTestRunner {
  override onAfterRunTask(test: Test): void {
    super.onAfterRunTask(test);
    if (test.result?.state === 'fail') this.cancel('test-failure');
  }
}
