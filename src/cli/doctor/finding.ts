import { readFile } from 'node:fs/promises';

/** What one check found. */
export interface Finding {
  readonly check:
    | 'clock'
    | 'peers'
    | 'chain'
    | 'chain-age'
    | 'chain-record'
    | 'configuration'
    | 'disk'
    | 'mount'
    | 'permissions'
    | 'socket'
    | 'swap'
    | 'core-files'
    | 'trust-hash'
    | 'collateral'
    | 'tcb'
    | 'custody'
    | 'platform'
    | 'fleet'
    | 'environment';
  /** `wrong`: the node does not work so, or keys are in danger; the exit code of `doctor` is 1 then. */
  readonly level: 'good' | 'warning' | 'wrong';
  readonly text: string;
  /** What to do. */
  readonly advice?: string;
}

/** Reads a small text file of the kernel; `undefined` where it cannot be read. An argument, so that tests replace it. */
export type ReadText = (path: string) => Promise<string | undefined>;

/** The files of this machine. */
export const readText: ReadText = (path) => readFile(path, 'utf8').catch(() => undefined);
