// Loaded into the nodes of `ring-kills.ts --broken RULE`, before their own code: breaks one rule of the ring, which the
// checks of that script have to find. Usage: node --import file:///…/broken-ring.mjs?rule=I1
const built = (path) => import(new URL(`../dist/src/${path}`, import.meta.url).href);
const { Holdings } = await built('ring/replication/holdings.js');
const { Peers } = await built('ring/replication/peers.js');
const { ReplicaRecords } = await built('node/ring/replica-records.js');

const rules = {
  /** Repair compares, and says that all is the same, and takes no copy: who gets new ranges does not have their records. */
  I1() {
    Holdings.prototype.keepCopy = async () => undefined;
  },
  /** A member serves from its first view on, and its copies come slowly. */
  I5() {
    Peers.prototype.isReady = () => true;
    const { keepCopy } = Holdings.prototype;
    Holdings.prototype.keepCopy = async function slowly(entry) {
      await new Promise((resolve) => setTimeout(resolve, 15_000));
      return keepCopy.call(this, entry);
    };
  },
  /** Records lie in memory only, and repair brings none back. */
  I8() {
    const records = new Map();
    Object.assign(ReplicaRecords.prototype, {
      get: async (id) => records.get(id),
      put: async (id, bytes) => void records.set(id, Uint8Array.from(bytes)),
      delete: async (id) => void records.delete(id),
      async *entries() {},
    });
    Holdings.prototype.keepCopy = async () => undefined;
  },
};

const rule = new URL(import.meta.url).searchParams.get('rule') ?? '';
if (!Object.hasOwn(rules, rule))
  throw new RangeError(`no rule ${rule}; there are: ${Object.keys(rules).join(', ')}`);
rules[rule]();
