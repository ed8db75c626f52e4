import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/**
 * How often the delay of the event loop is sampled, in milliseconds, which is also the least delay that the metrics show.
 * Every 10 ms, the default, is most of what an idle node costs.
 */
const LAG_PRECISION_MS = 100;

/** All metrics of a node. No label contains an account: metrics must not reveal which accounts ask for keys. */
export class Metrics {
  readonly registry = new Registry();
  readonly buildInfo = this.#gauge(
    'latchkey_build_info',
    '1, with the versions of this program and of Node.js',
    ['version', 'node'],
  );
  readonly requests = this.#counter('latchkey_http_requests_total', 'HTTP requests by route and status', [
    'route',
    'status',
  ]);
  readonly requestSeconds = this.#histogram('latchkey_http_request_seconds', 'Duration of HTTP requests', [
    'route',
  ]);
  readonly keysReleased = this.#counter('latchkey_keys_released_total', 'Server keys released, by intent', [
    'intent',
  ]);
  readonly keysRefused = this.#counter('latchkey_keys_refused_total', 'Key requests refused, by error code', [
    'code',
  ]);
  readonly vaultKeys = this.#gauge('latchkey_vault_keys', 'Server keys held in memory');
  readonly vaultLineages = this.#gauge(
    'latchkey_vault_lineages',
    'Lineages of stores remembered in memory, also those without a key here',
  );
  readonly clientsAtRisk = this.#gauge(
    'latchkey_clients_at_risk',
    'Stores that would fall below their threshold if this server stopped now, by the reports of their nodes',
  );
  readonly draining = this.#gauge('latchkey_draining', '1 while this server drains: it makes no new keys');
  readonly drainingClients = this.#gauge(
    'latchkey_draining_clients',
    'Clients that still need this server, while it drains',
  );
  readonly drainingUnmovable = this.#gauge(
    'latchkey_draining_unmovable',
    'Accounts with a key here that no drain moves, while this server drains',
  );
  readonly nodeState = this.#gauge('latchkey_node_state', '1 for the state that the node is in', ['state']);
  readonly nodeCause = this.#gauge(
    'latchkey_node_cause',
    '1 for the cause of the state, where the store is closed, not served or not written',
    ['cause'],
  );
  readonly slotsLive = this.#gauge(
    'latchkey_slots_live',
    'Key servers that still hold their slot of this store',
  );
  readonly slotsWanted = this.#gauge('latchkey_slots_wanted', 'Key servers that this store should have');
  readonly slotsThreshold = this.#gauge(
    'latchkey_slots_threshold',
    'Slots that are needed to open the store',
  );
  readonly olderGenerationsOpen = this.#gauge(
    'latchkey_older_generations_open',
    'Older generations of slots of this store that can still open an older copy of its disk',
  );
  readonly formerLineagesOpen = this.#gauge(
    'latchkey_former_lineages_open',
    'Former store keys of this store that are not closed at all of their servers',
  );
  readonly olderDropped = this.#gauge(
    'latchkey_older_dropped',
    'Older generations and former store keys that the node has given up closing, because its list was full',
  );
  readonly storeBytes = this.#gauge('latchkey_store_bytes', 'Bytes of all files of the log of the store');
  readonly storeLiveBytes = this.#gauge('latchkey_store_live_bytes', 'Bytes of records that are in force');
  readonly storeFreeBytes = this.#gauge(
    'latchkey_store_free_bytes',
    'Bytes that can still be written on the file system of the store',
  );
  readonly storeWriteFault = this.#gauge(
    'latchkey_store_write_fault',
    '1 while the last write of the store failed, as on a full disk',
  );
  readonly storeTakesWrites = this.#gauge(
    'latchkey_store_takes_writes',
    '0 after a failure of the disk that only a restart of the node ends',
  );
  readonly storeCheckpointIgnored = this.#gauge(
    'latchkey_store_checkpoint_ignored',
    '1 when the checkpoint of the index was gone or altered at the start, and all was read from the log',
  );
  readonly storeFaults = this.#counter('latchkey_store_faults_total', 'Faults of the disk, by error code', [
    'code',
  ]);
  readonly storeCommitSeconds = this.#histogram(
    'latchkey_store_commit_seconds',
    'Time until a group of writes of the store is on the disk',
  );
  readonly storeCompactions = this.#counter(
    'latchkey_store_compactions_total',
    'Runs of segments of the store that were replaced by one with the records in force',
  );
  readonly quoteVerifySeconds = this.#histogram(
    'latchkey_quote_verify_seconds',
    'Processor time of one verification of a quote, without the wait for collateral',
  );
  readonly quoteChains = this.#counter(
    'latchkey_quote_chains_total',
    'Quotes verified, by whether their certificate chain was seen before: hit, miss',
    ['cache'],
  );
  readonly collateralValidUntil = this.#gauge(
    'latchkey_collateral_valid_until_seconds',
    'Unix time at which the first set of collateral runs out, of those that are used',
  );
  readonly collateralState = this.#gauge('latchkey_collateral_state', '1 for the state of the collateral', [
    'state',
  ]);
  readonly tcbWarnings = this.#gauge(
    'latchkey_tcb_warnings',
    'Machines that a TCB evaluation which Intel has published early will refuse: own, servers',
    ['machines'],
  );
  readonly tcbRefusedFrom = this.#gauge(
    'latchkey_tcb_refused_from_seconds',
    'Estimated Unix time from which on the first of these machines is refused',
    ['machines'],
  );
  readonly fleetSerial = this.#gauge(
    'latchkey_fleet_serial',
    'Serial of the newest fleet manifest that this node has; 0 before the first',
  );
  readonly fleetAwaited = this.#gauge(
    'latchkey_fleet_awaited',
    '1 while a newer fleet manifest is signed and no source gives it: no new permission takes effect',
  );
  readonly fleetConflict = this.#gauge(
    'latchkey_fleet_conflict',
    '1 while two fleet manifests of one serial are known: no new permission takes effect',
  );
  readonly fleetWaiting = this.#gauge(
    'latchkey_fleet_waiting',
    'Permissions of the fleet manifest that wait for their delay, at most 16',
  );
  readonly fleetNextEnd = this.#gauge(
    'latchkey_fleet_next_end_seconds',
    'Unix time at which the next permission of the fleet manifest ends, when that is within 14 days',
  );
  readonly fleetServersBehind = this.#gauge(
    'latchkey_fleet_servers_behind',
    'Servers that show an older fleet manifest than this node has',
  );
  readonly fleetRekeyWaiting = this.#gauge(
    'latchkey_fleet_rekey_waiting',
    '1 while the fleet asks for a new store key and this node has not made it',
  );
  readonly chainBlock = this.#gauge(
    'latchkey_chain_finalized_block',
    'Number of the newest finalized block seen',
  );
  readonly chainBlockTime = this.#gauge(
    'latchkey_chain_block_time_seconds',
    'Unix time of the newest finalized block seen, by the chain',
  );
  readonly ringStanding = this.#gauge('latchkey_ring_standing', '1 for what this node does for the ring', [
    'state',
  ]);
  readonly ringMembers = this.#gauge('latchkey_ring_members', 'Members of the ring at the newest boundary');
  readonly ringBoundary = this.#gauge('latchkey_ring_boundary', 'Block of the newest boundary that is known');
  readonly ringRecords = this.#gauge('latchkey_ring_records', 'Records that this node keeps for the ring');
  readonly ringBytes = this.#gauge('latchkey_ring_bytes', 'Bytes of these records');
  readonly ringDiffering = this.#gauge(
    'latchkey_ring_differing_members',
    'Members that have shown other registered servers than this node knows',
  );
  readonly secretRequests = this.#counter(
    'latchkey_secret_requests_total',
    'Requests of users of secrets that opened, by route and by `ok` or the code of the refusal',
    ['route', 'code'],
  );
  readonly configReloads = this.#counter(
    'latchkey_config_reloads_total',
    'Reloads of the configuration file, by outcome: taken, refused',
    ['outcome'],
  );
  readonly configReloaded = this.#gauge(
    'latchkey_config_last_reload_successful',
    '0 when the last reload of the configuration file was refused, and so changed nothing',
  );
  readonly configRestartNeeded = this.#gauge(
    'latchkey_config_restart_needed',
    'Settings that the configuration file gives another value, and that only a restart takes',
  );
  readonly processFaults = this.#counter(
    'latchkey_process_faults_total',
    'Rejections that nobody took, exceptions out of listeners, and failures of the output',
    ['fault'],
  );
  readonly insecure = this.#gauge(
    'latchkey_insecure_trust_root',
    '1 when a trust root other than Intel is injected',
  );

  constructor(options: { readonly processMetrics?: boolean } = {}) {
    if (options.processMetrics ?? false)
      collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  }

  /** Prometheus text exposition, version 0.0.4. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  /** Sets the one gauge of a family of states. */
  static setState(gauge: Gauge<'state'>, state: string): void {
    gauge.reset();
    gauge.set({ state }, 1);
  }

  #counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Histogram<Label> {
    return new Histogram({
      name,
      help,
      labelNames,
      registers: [this.registry],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    });
  }
}
