import { expect, it } from 'vitest';
import { takeServiceEnvironment } from '../../../../src/cli/service/service-environment.ts';

it('takes the variables of the service manager away, so that no child inherits them', () => {
  const environment = { NOTIFY_SOCKET: '/run/s', WATCHDOG_USEC: '2500000', WATCHDOG_PID: '7', PATH: '/bin' };
  expect(takeServiceEnvironment(environment, 7)).toEqual({ socket: '/run/s', watchdogMs: 2500 });
  expect(environment).toEqual({ PATH: '/bin' });
});

it.each([
  ['of another process', { WATCHDOG_USEC: '2500000', WATCHDOG_PID: '8' }],
  ['of zero', { WATCHDOG_USEC: '0' }],
  ['that is no number', { WATCHDOG_USEC: '-1' }],
  ['that is not there', {}],
])('a watchdog %s is none', (_, environment) => {
  expect(takeServiceEnvironment({ ...environment }, 7)).toEqual({});
});
