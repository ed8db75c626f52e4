import { countOf } from '../bytes/count-of.ts';
import type { NodeAnswer } from './node-answer.ts';

/** A node that was asked. */
export interface AskedNode {
  /** The URL or the configuration file by which it was asked. */
  readonly target: string;
  /** What it said, or why that is not known: it did not answer, or not in its form. */
  readonly answer: NodeAnswer | { readonly silent: string };
}

/** Whether a node may be restarted now: `unknown` where an answer that would be needed is missing. */
export type RestartVerdict = 'yes' | 'no' | 'unknown';

/** What is said of one node. */
export interface PlannedNode extends AskedNode {
  readonly restart: RestartVerdict;
  /** Why not, or what is not known; empty for `yes`. */
  readonly reasons: readonly string[];
  /** Nodes that would have fewer slots than they need if this one stopped now, by account. */
  readonly atRisk: readonly string[];
  /** Stores at risk by this node's own count, which includes nodes that were not asked. */
  readonly atRiskByOwnCount: number;
}

/** What is said of a fleet. */
export interface RestartPlan {
  readonly nodes: readonly PlannedNode[];
  /** The nodes that may be restarted now, one at a time: first the one after which most slots are left. */
  readonly order: readonly string[];
}

type Answered = AskedNode & { readonly answer: NodeAnswer };

/** Why one node may not be restarted, or may not be told to. */
interface Finding {
  readonly verdict: 'no' | 'unknown';
  readonly reason: string;
}
const no = (reason: string): Finding => ({ verdict: 'no', reason });
const unknown = (reason: string): Finding => ({ verdict: 'unknown', reason });

/** States in which a node counts its slots. */
const COUNTING = new Set(['backed', 'degraded']);
/** States in which a node has no store that another node's key would open. */
const STORELESS = new Set(['fresh', 'unbacked']);

/** Why a node in a state should not be restarted, whatever its servers do. */
const byState: Readonly<Record<string, Finding>> = {
  unbacked: no('no server holds a slot: a restart loses its store'),
  unclaimed: no('it does not hold its account yet, and perhaps only this process has the store key'),
  locked: no('its store is closed: a restart opens nothing'),
  fresh: no('it makes its store'),
  starting: no('it starts'),
  open: unknown('it has not checked its slots yet'),
  fenced: unknown('it is fenced: do what its advice says'),
};

/** What the operator knows, and no node can tell. */
export interface KnownToOperator {
  /** Accounts, SS58, of nodes that were taken away for good: nobody waits for their answers. */
  readonly gone?: ReadonlySet<string>;
}

/**
 * Says of each node whether it may be restarted now: when at least t of its slots are held by servers that answer and
 * run, and each of its clients keeps the slots that it needs. Each fact that allows a restart is told by two nodes, so
 * that one that lies about itself does not make another look safe; and what is missing never allows one.
 */
export function planRestarts(
  asked: readonly AskedNode[],
  { gone = new Set() }: KnownToOperator = {},
): RestartPlan {
  const fleet = new Fleet(asked, gone);
  const planned = fleet.judged.map(({ node, findings, margin }) => {
    const reasons = findings.map(({ reason }) => reason);
    const isNo = findings.some(({ verdict }) => verdict === 'no');
    const restart: RestartVerdict = isNo ? 'no' : findings.length > 0 ? 'unknown' : 'yes';
    return { node: { ...node, restart, reasons, ...fleet.riskOf(node) }, margin };
  });
  const order = planned
    .filter(({ node }) => node.restart === 'yes')
    .sort((a, b) => b.margin - a.margin)
    .map(({ node }) => node.target);
  return { nodes: planned.map(({ node }) => node), order };
}

/** The answers of a fleet, by account. */
class Fleet {
  readonly #asked: readonly AskedNode[];
  /** Who answered. A node with a closed store does not know its account yet. */
  readonly #answered: readonly Answered[];
  /** An account may be asked by two addresses; and an impostor may answer in its name. */
  readonly #byAccount = new Map<string, readonly Answered[]>();
  /** Why an account cannot be believed: two different instances answer for it. */
  readonly #doubtful = new Set<string>();
  /** Accounts that are gone for good, by the operator; one that answers is not. */
  readonly #gone: ReadonlySet<string>;
  /** Without a node that serves the ring there are no records that another one waits for, as at the first start of a ring. */
  readonly #isRingServed: boolean;

  constructor(asked: readonly AskedNode[], gone: ReadonlySet<string>) {
    this.#asked = asked;
    const answered = asked.filter(isAnswered);
    for (const node of answered) this.#add(node);
    for (const account of this.#doubtful) this.#byAccount.delete(account);
    this.#answered = answered.filter(({ answer: { accountId } }) => !this.#isDoubtful(accountId));
    const present = new Set(answered.map(({ answer }) => answer.accountId));
    this.#gone = new Set([...gone].filter((account) => !present.has(account)));
    this.#isRingServed = answered.some(({ answer }) => answer.ring?.standing === 'serving');
  }

  get judged(): readonly { node: AskedNode; findings: readonly Finding[]; margin: number }[] {
    return this.#asked.map((node) => {
      if (!isAnswered(node)) return { node, findings: [unknown(silenceOf(node))], margin: 0 };
      if (this.#isDoubtful(node.answer.accountId))
        return { node, findings: [unknown('two instances answer for its account')], margin: 0 };
      const findings = [...this.#ofItself(node), ...this.#ofClients(node), ...this.#ofFleet(node)];
      return { node, findings, margin: this.#margin(node) };
    });
  }

  riskOf(node: AskedNode): Pick<PlannedNode, 'atRisk' | 'atRiskByOwnCount'> {
    if (!isAnswered(node)) return { atRisk: [], atRiskByOwnCount: 0 };
    const { accountId } = node.answer;
    const losing = this.#others(node).filter((client) => losesBy(client.answer, accountId));
    return {
      atRisk: [...new Set(losing.map(nameOf))],
      atRiskByOwnCount: node.answer.clientsAtRisk,
    };
  }

  #add(node: Answered): void {
    const { accountId, instanceId } = node.answer;
    if (accountId === undefined) return;
    const known = this.#byAccount.get(accountId) ?? [];
    if (known.some(({ answer }) => answer.instanceId !== instanceId)) this.#doubtful.add(accountId);
    this.#byAccount.set(accountId, [...known, node]);
  }

  #isDoubtful(account: string | undefined): boolean {
    return account !== undefined && this.#doubtful.has(account);
  }

  /** All answers in another name, also where two are of one account: each may show a need. */
  #others(node: Answered): readonly Answered[] {
    const { accountId } = node.answer;
    return this.#answered.filter((other) =>
      other.answer.accountId === undefined ? other !== node : other.answer.accountId !== accountId,
    );
  }

  /** Whether its own store opens again. */
  #ofItself({ answer }: Answered): readonly Finding[] {
    const { state, restartRefusal, storeFault, waitingForFormerClients } = answer;
    const refusal =
      restartRefusal === undefined ? [] : [no(`its servers would refuse it: ${restartRefusal}`)];
    const fault =
      storeFault === undefined
        ? []
        : [no(`its store cannot write (${storeFault.code}): repair the disk first`)];
    const waiting =
      waitingForFormerClients === 0
        ? []
        : [
            no(
              `${countOf(waitingForFormerClients, 'client')} from before its last restart did not come back yet`,
            ),
          ];
    const slots = COUNTING.has(state)
      ? slotFindings(answer, this.#proved(answer), 'its own store')
      : [byState[state] ?? unknown(`this program does not know the state "${state}"`)];
    return [...refusal, ...fault, ...waiting, ...slots];
  }

  /** Whether its clients keep the slots that they need. */
  #ofClients(node: Answered): readonly Finding[] {
    const { accountId, clients, clientsAtRisk, clientAccounts } = node.answer;
    const own =
      clientsAtRisk === 0
        ? []
        : [no(`at risk without its slot: ${countOf(clientsAtRisk, 'store')}, by their own reports to it`)];
    const known = this.#others(node).flatMap((client) => this.#ofClient(client, accountId));
    if (clientAccounts !== undefined) {
      const missing = clientAccounts.filter(
        (client) => client !== accountId && !this.#byAccount.has(client) && !this.#gone.has(client),
      );
      return [...own, ...known, ...missing.map((client) => unknown(`its client ${client} did not answer`))];
    }
    const naming = new Set(
      this.#others(node)
        .filter(({ answer }) => names(answer, accountId))
        .map(nameOf),
    ).size;
    if (clients === undefined) return [...own, ...known, unknown('it does not say how many clients it has')];
    const { clientsUnregistered } = node.answer;
    const missing = clients - naming - Math.min(this.#gone.size, clientsUnregistered);
    const more = missing <= 0 ? [] : [unknown(notAsked(missing, clients, clientsUnregistered))];
    return [...own, ...known, ...more, ...this.#silent()];
  }

  #ofClient(client: Answered, server: string | undefined): readonly Finding[] {
    const { answer } = client;
    const { state } = answer;
    const name = nameOf(client);
    if (STORELESS.has(state)) return [];
    if (state === 'starting' || slotServers(answer).size === 0)
      return [unknown(`${name} is ${state}, and which servers it needs is not known`)];
    if (!names(answer, server)) return [];
    if (state === 'locked') return [no(`${name} is locked and may need its slot: open that node first`)];
    if (state === 'unclaimed') return [no(`${name} does not hold its account yet and needs its servers`)];
    if (!COUNTING.has(state))
      return [unknown(`${name} is ${state} and cannot say what it has without this server`)];
    return slotFindings(answer, this.#proved(answer, server), `the store of ${name}`, server);
  }

  /** What holds up every restart. */
  #ofFleet(node: Answered): readonly Finding[] {
    if (!this.#isRingServed) return [];
    return this.#others(node).flatMap((other) => {
      const { ring } = other.answer;
      return ring === undefined || ring.standing === 'serving' || ring.standing === 'no-member'
        ? []
        : [no(`${nameOf(other)} does not have its records of the ring yet (${ring.standing})`)];
    });
  }

  /** Nodes that did not answer: each may be a client of every other node. */
  #silent(): readonly Finding[] {
    const doubtful = [...this.#doubtful].map((account) =>
      unknown(`two instances answer for ${account}, which may need its slot`),
    );
    const silent = this.#asked
      .filter((node) => !isAnswered(node))
      .map((node) => unknown(`${node.target} may need its slot: ${silenceOf(node)}`));
    return [...doubtful, ...silent];
  }

  /** How many slots of a store are live by its node and at servers that answered and run. */
  #proved(answer: NodeAnswer, without?: string): number {
    return [...liveServers(answer)].filter((server) => server !== without && this.#runs(server)).length;
  }

  /** Whether a server answered, its key server is open, and it waits for no client that lost its key by a restart. */
  #runs(server: string): boolean {
    const answers = this.#byAccount.get(server) ?? [];
    return (
      answers.length > 0 &&
      answers.every(
        ({ answer: { instanceId, waitingForFormerClients } }) =>
          instanceId !== undefined && waitingForFormerClients === 0,
      )
    );
  }

  /** The fewest slots to spare of its own store and of its clients' after it has stopped. */
  #margin(node: Answered): number {
    const { accountId } = node.answer;
    const clients = this.#others(node).filter(
      ({ answer }) => COUNTING.has(answer.state) && names(answer, accountId),
    );
    const spare = clients.map(({ answer }) => this.#proved(answer, accountId) - (answer.t ?? 0));
    return Math.min(this.#proved(node.answer) - (node.answer.t ?? 0), ...spare);
  }
}

/** Compares t with the slots that a node reports, and with those at servers that answered. */
function slotFindings(
  answer: NodeAnswer,
  proved: number,
  store: string,
  without?: string,
): readonly Finding[] {
  const { t, live } = answer;
  if (t === undefined || t < 1 || live === undefined)
    return [unknown(`${store}: its threshold is not known`)];
  const left = hopedSlots(answer, without);
  const rest = without === undefined ? '' : ' without this server';
  if (left < t) return [no(`${store} has ${left} live slots${rest} and needs ${t}`)];
  if (proved < t)
    return [
      unknown(`${store} needs ${t} slots, and only ${proved} are at servers${rest} that answer and run`),
    ];
  return [];
}

/** The slots by the node's own report. */
function hopedSlots(answer: NodeAnswer, without?: string): number {
  const usable = liveServers(answer);
  const counted = Math.min(answer.live ?? 0, usable.size);
  return without !== undefined && usable.has(without) ? counted - 1 : counted;
}

/** Servers of which every slot is live and gives its key to the machine on which the node runs. */
const liveServers = oncePerAnswer(({ slots }): ReadonlySet<string> => {
  const live = new Set(slots.map(({ server }) => server));
  for (const { server, standing, isBoundElsewhere } of slots)
    if ((standing !== 'live' && standing !== 'draining') || isBoundElsewhere) live.delete(server);
  return live;
});

/** All servers that may hold a slot of a node. */
const slotServers = oncePerAnswer(
  ({ slots, keyslots }): ReadonlySet<string> =>
    new Set([...slots, ...(keyslots?.slots ?? [])].map(({ server }) => server)),
);

/** Each node is compared with each other one: what is read from one answer is kept. */
function oncePerAnswer<Value>(read: (answer: NodeAnswer) => Value): (answer: NodeAnswer) => Value {
  const known = new WeakMap<NodeAnswer, { readonly value: Value }>();
  return (answer) => {
    const found = known.get(answer) ?? { value: read(answer) };
    known.set(answer, found);
    return found.value;
  };
}

/** A node that was taken off the chain and away leaves its keys at its servers until they restart. */
function notAsked(missing: number, clients: number, unregistered: number): string {
  const words = `not asked, or without an answer: ${missing} of its ${countOf(clients, 'client')}`;
  return unregistered === 0
    ? words
    : `${words} (${unregistered} without a record on the chain: if that node is gone for good, \`latchkey fleet status --gone ACCOUNT\` does not wait for it)`;
}

const names = (answer: NodeAnswer, server: string | undefined): boolean =>
  server !== undefined && slotServers(answer).has(server);

/** Whether a client has too few slots when a server stops now. */
function losesBy(answer: NodeAnswer, server: string | undefined): boolean {
  if (!names(answer, server)) return false;
  if (!COUNTING.has(answer.state)) return true;
  return hopedSlots(answer, server) < (answer.t ?? Number.POSITIVE_INFINITY);
}

const isAnswered = (node: AskedNode): node is Answered => !('silent' in node.answer);

const silenceOf = ({ answer }: AskedNode): string => ('silent' in answer ? answer.silent : '');

const nameOf = ({ target, answer }: Answered): string => answer.accountId ?? target;
