import { answerChecks } from './answer-checks.ts';
import { networkChecks } from './network-checks.ts';
import { type ClientCheck, requestChecks } from './request-checks.ts';

/** All rules that are tried on a client. */
export const clientChecks: readonly ClientCheck[] = [...requestChecks, ...answerChecks, ...networkChecks];
