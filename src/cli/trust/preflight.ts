import type { z } from 'zod';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ServerRecord } from '../../chain/chain-view.ts';
import { acceptsAnswer } from '../../http/node-bodies.ts';
import { chainOf } from '../../node/parts.ts';
import { silentLog } from '../../observe/log.ts';
import { boundedFetch, type Fetch } from '../../outbound/bounded-fetch.ts';
import { systemClock } from '../../time/clock.ts';
import { trustHash } from '../../trust/trust-hash.ts';
import { type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';

const DEADLINE_MS = 10_000;
const MAX_ANSWER_BYTES = 16 * 1024;
/** Most characters of a server's own words. */
const MAX_DETAIL = 300;

/** What is asked about: `0x` hex. */
export interface Preflight {
  /** 48 bytes. */
  readonly trustHash: string;
  /** Measurement id, 32 bytes. */
  readonly measurement?: string;
}

/** What one server says. */
export interface PreflightAnswer {
  /** SS58. */
  readonly server: string;
  readonly endpoint: string;
  readonly verdict: 'accepts' | 'refuses' | 'unknown';
  /** Why not. */
  readonly reason?: string;
}

/** Options of the command. */
export interface PreflightOptions extends ConfigOptions {
  readonly measurement?: string;
  readonly json?: true;
}

/** `latchkey trust preflight`: what the peers would say to a machine under a new configuration. */
export async function preflight(options: PreflightOptions): Promise<void> {
  const config = await readConfig(options.config);
  const { measurement } = options;
  const asked = {
    trustHash: toPrefixedHex(trustHash(config.trust)),
    ...(measurement === undefined ? {} : { measurement }),
  };
  const chain = chainOf(config, silentLog, systemClock);
  try {
    const { servers } = await chain.snapshot();
    const answers = await askServers(
      servers.filter(({ active }) => active),
      asked,
    );
    if (options.json === true) console.log(JSON.stringify({ ...asked, answers }));
    else for (const line of preflightLines(asked, answers)) console.log(escapeControls(line));
    process.exitCode = exitCodeOf(answers);
  } finally {
    await chain[Symbol.asyncDispose]();
  }
}

/** Asks servers at the same time. Their answers prove nothing; a key request decides. */
export function askServers(
  servers: readonly Pick<ServerRecord, 'account' | 'endpoint'>[],
  asked: Preflight,
  fetchLike: Fetch = fetch,
): Promise<readonly PreflightAnswer[]> {
  const query = new URLSearchParams({ ...asked });
  return Promise.all(
    servers.map(async ({ account, endpoint }) => {
      const answer = await boundedFetch(fetchLike, {
        url: `http://${endpoint}/accepts?${query}`,
        method: 'GET',
        timeoutMs: DEADLINE_MS,
        maxBytes: MAX_ANSWER_BYTES,
      });
      const named = { server: encodeSs58(account), endpoint };
      if (!answer.ok) return { ...named, verdict: 'unknown', reason: answer.reason };
      return { ...named, ...judged(answer.status, answer.body, asked) };
    }),
  );
}

function judged(
  status: number,
  body: Uint8Array,
  asked: Preflight,
): Pick<PreflightAnswer, 'verdict' | 'reason'> {
  const { data } = acceptsAnswer.safeParse(status === 200 ? tryJson(body) : undefined);
  // A server that leaves out what was asked has not said that it accepts it.
  const missing = Object.keys(asked).some((name) => data?.[name as keyof Preflight] === undefined);
  if (data === undefined || missing)
    return { verdict: 'unknown', reason: `status ${status}, and no verdict on all that was asked` };
  const refusals = [data.trustHash, data.measurement].filter((verdict) => verdict?.accepted === false);
  if (refusals.length === 0) return { verdict: 'accepts' };
  return { verdict: 'refuses', reason: refusals.map(refusalText).join('; ') };
}

function refusalText(verdict: NonNullable<z.output<typeof acceptsAnswer>['trustHash']> | undefined): string {
  const { code = 'refused', detail = '', from } = verdict ?? {};
  const until = from === undefined ? '' : `; the fleet manifest allows it from ${from.slice(0, 32)}`;
  return `${code.slice(0, 64)}: ${detail.slice(0, MAX_DETAIL)}${until}`;
}

function tryJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

/** The answers in words. */
export function preflightLines(
  { trustHash: hash, measurement }: Preflight,
  answers: readonly PreflightAnswer[],
): readonly string[] {
  const accepting = answers.filter(({ verdict }) => verdict === 'accepts').length;
  const image = measurement === undefined ? '' : ` and the image ${measurement}`;
  const others = answers.filter(({ verdict }) => verdict !== 'accepts');
  const isRefused = others.some(({ verdict }) => verdict === 'refuses');
  return [
    `${accepting} of ${answers.length} servers would accept the trust section ${hash}${image}`,
    ...others.map(
      ({ server, endpoint, verdict, reason }) =>
        `${server} (${endpoint}) ${verdict === 'refuses' ? 'not' : 'did not say'}, because ${reason}`,
    ),
    ...(isRefused
      ? [
          'a fleet manifest that lists it changes this: `latchkey fleet draft`; the keys of trust.authority sign it',
        ]
      : []),
  ];
}

/** 0 when all accept, 1 when some refuse, 2 when some did not answer or there are none. */
export function exitCodeOf(answers: readonly PreflightAnswer[]): number {
  if (answers.some(({ verdict }) => verdict === 'refuses')) return exitCodes.refused;
  const isSure = answers.length > 0 && answers.every(({ verdict }) => verdict === 'accepts');
  return isSure ? exitCodes.ok : exitCodes.failed;
}
