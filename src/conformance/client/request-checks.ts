import { toBase64 } from '../../bytes/base64.ts';
import { toHex } from '../../bytes/hex.ts';
import { type Check, requireRule, Skipped } from '../check.ts';
import type { Step } from './contract.ts';
import type { ClientRun, ForeignClient } from './foreign-client.ts';
import { type RequestRule, requestRules } from './observed.ts';

/** A rule that is tried on a client. */
export type ClientCheck = Check<ForeignClient>;

/** What every client does with its keys. */
const lifeOfSlots = ['create', 'link', 'recover', 'forget'] as const;
const plain = ['plain'] as const;
const secondBoot = ['create', 'link', 'recover', 'reserve', 'claim', 'status', 'update', 'forget'] as const;
const attested = ['attest', 'create', 'link', 'forget'] as const;

/** A run in which nothing is wrong must end well at both servers. */
const goes = (name: string, steps: readonly Step[]): ClientCheck => ({
  name,
  run: async (client) => {
    const run = await client.good(...steps);
    for (const step of steps) {
      for (const index of [0, 1] as const) {
        const { ok, reason = 'no reason' } = run.outcome(step, index);
        requireRule(ok === true, `${step} at a good server ends with: ${reason}`);
      }
    }
  },
});

/** All runs in which nothing is wrong, as far as the client knows their steps. */
async function goodRuns(client: ForeignClient): Promise<readonly ClientRun[]> {
  const runs: ClientRun[] = [];
  for (const steps of [lifeOfSlots, plain, secondBoot, attested]) {
    try {
      runs.push(await client.good(...steps));
    } catch (error) {
      if (!(error instanceof Skipped)) throw error;
    }
  }
  return runs;
}

const keeps = (rule: RequestRule): ClientCheck => ({
  name: rule,
  run: async (client) => {
    let isTried = false;
    for (const { listeners } of await goodRuns(client)) {
      isTried ||= listeners.some(({ server }) => server.observed.isTried(rule));
      const wrong = listeners.flatMap(({ server }) => server.observed.wrongBy(rule) ?? []);
      requireRule(wrong.length === 0, wrong[0] ?? rule);
    }
    requireRule(isTried, 'the client sends no request to which this rule applies');
  },
});

/** A rule about runs in which nothing is wrong; it needs secrets that the client could give away. */
const keepsSecrets = (name: string, test: (run: ClientRun) => void): ClientCheck => ({
  name,
  run: async (client) => {
    const runs = await goodRuns(client);
    const hasKeys = runs.some(({ listeners }) =>
      listeners.some(({ server }) => server.memory.secrets.length > 0),
    );
    requireRule(hasKeys, 'the client asks for no key');
    for (const run of runs) test(run);
  },
});

/** Texts by which bytes could be written. */
const spellings = (bytes: Uint8Array): readonly string[] => {
  const base64 = toBase64(bytes).replace(/=+$/, '');
  return [toHex(bytes), base64, base64.replaceAll('+', '-').replaceAll('/', '_')];
};

/** Whether a text holds one of the secrets of a run, in hex or base64. */
function holdsSecret(run: ClientRun, text: string): boolean {
  const lower = text.toLowerCase();
  return run.secrets.some((secret) => {
    const [hex = '', ...others] = spellings(secret.reveal());
    return lower.includes(hex) || others.some((spelling) => text.includes(spelling));
  });
}

/** Rules about what a client sends and prints while nothing is wrong. */
export const requestChecks: readonly ClientCheck[] = [
  goes('good-run', lifeOfSlots),
  goes('plain-key', plain),
  goes('reserve-and-claim', secondBoot),
  goes('attestation', attested),
  ...requestRules.filter((rule) => rule !== 'slot-id-fresh').map(keeps),
  {
    name: 'slot-id-fresh',
    run: async (client) => {
      await keeps('slot-id-fresh').run(client);
      const used = new Set<string>();
      for (const run of await goodRuns(client)) {
        for (const { json } of run
          .server(0)
          .requests.filter((request) => request.json['intent'] === 'create')) {
          for (const { slotId } of json['servers'] as readonly { readonly slotId?: unknown }[]) {
            const name = String(slotId).toLowerCase();
            requireRule(!used.has(name), 'two keys have the same slot id');
            used.add(name);
          }
        }
      }
    },
  },
  {
    name: 'key-id',
    run: async (client) => {
      const run = await client.good(...lifeOfSlots);
      for (const index of [0, 1] as const) {
        const [made, back] = [run.outcome('create', index), run.outcome('recover', index)];
        const isOne = /^0x[0-9a-f]{32}$/.test(made.keyId ?? '') && made.keyId === back.keyId;
        requireRule(isOne, 'create and recover must print one and the same keyId');
      }
    },
  },
  keepsSecrets('secrets-printed', (run) => {
    const printed = holdsSecret(run, `${run.output.stdout}\n${run.output.stderr}`);
    requireRule(!printed, 'the client prints a server key, a recovery token or a lineage key');
  }),
  keepsSecrets('secrets-sent', (run) => {
    const sent = run.listeners.some(({ server }) =>
      server.requests.some(({ text }) => holdsSecret(run, text)),
    );
    requireRule(!sent, 'the client sends a server key, a recovery token or a lineage key in the open');
  }),
];
