/** One alert: series that make it fire, a time before at which nothing fires, and a time at which exactly it does. */
export interface AlertCase {
  readonly alert: string;
  /** Values by series of the node `a`, in the notation of promtool, one a minute; `_` is a scrape without the series. */
  readonly series: Readonly<Record<string, string>>;
  /** Minutes after the start. */
  readonly silentAt: number;
  readonly firesAt: number;
  /** Labels of the alert besides `job`, `instance` and `severity`. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Series of a node in which nothing is wrong, and nothing changes; `x6000` stands for the length of the test. Counters with a label appear with their first event. */
export const healthyNode: Readonly<Record<string, string>> = {
  up: '1x6000',
  'latchkey_node_state{state="backed"}': '1x6000',
  latchkey_slots_live: '5x6000',
  latchkey_slots_wanted: '5x6000',
  latchkey_slots_threshold: '3x6000',
  latchkey_clients_at_risk: '0x6000',
  latchkey_older_generations_open: '0x6000',
  latchkey_former_lineages_open: '0x6000',
  latchkey_older_dropped: '3x6000',
  latchkey_store_write_fault: '0x6000',
  latchkey_store_takes_writes: '1x6000',
  latchkey_store_free_bytes: '50000000000x6000',
  latchkey_chain_finalized_block: '1000+10x6000',
  'latchkey_collateral_state{state="fresh"}': '1x6000',
  'latchkey_tcb_warnings{machines="own"}': '0x6000',
  'latchkey_tcb_warnings{machines="servers"}': '0x6000',
  latchkey_fleet_conflict: '0x6000',
  latchkey_fleet_awaited: '0x6000',
  latchkey_fleet_next_end_seconds: '0x6000',
  latchkey_fleet_servers_behind: '0x6000',
  latchkey_fleet_rekey_waiting: '0x6000',
  latchkey_draining: '0x6000',
  latchkey_draining_clients: '0x6000',
  'latchkey_ring_standing{state="serving"}': '1x6000',
  latchkey_ring_differing_members: '0x6000',
  'latchkey_keys_refused_total{code="CHALLENGE_EXPIRED"}': '4x6000',
  'latchkey_http_requests_total{route="/challenge",status="200"}': '0+60x6000',
  'latchkey_http_requests_total{route="/readyz",status="503"}': '0+60x6000',
  'latchkey_http_request_seconds_bucket{route="/request-encryption-key",le="0.1"}': '0+60x6000',
  'latchkey_http_request_seconds_bucket{route="/request-encryption-key",le="5"}': '0+60x6000',
  'latchkey_http_request_seconds_bucket{route="/request-encryption-key",le="+Inf"}': '0+60x6000',
  process_start_time_seconds: '1x6000',
  process_open_fds: '80x6000',
  process_max_fds: '1024x6000',
  nodejs_eventloop_lag_p99_seconds: '0.1x6000',
  latchkey_insecure_trust_root: '0x6000',
};

const BACKED = 'latchkey_node_state{state="backed"}';
const state = (name: string): string => `latchkey_node_state{state="${name}"}`;
/** Good for ten minutes, then in another state; each state is a series of its own. */
const turns = (name: string): Readonly<Record<string, string>> => ({
  [BACKED]: '1x9 stale',
  [state(name)]: '_x10 1x500',
});
const GOOD_FIRST = '0x9 1x1500';

/** Every alert has at least one case, and each guard of an expression has one in which only the guard keeps it silent. */
export const alertCases: readonly AlertCase[] = [
  { alert: 'LatchkeyDown', series: { up: '1x9 0x500' }, silentAt: 11, firesAt: 13 },
  {
    alert: 'LatchkeyRestarts',
    series: { process_start_time_seconds: '1x9 2x4 3x4 4x500' },
    silentAt: 18,
    firesAt: 21,
  },
  {
    alert: 'LatchkeyStoreLocked',
    series: turns('locked'),
    labels: { state: 'locked' },
    silentAt: 13,
    firesAt: 16,
  },
  {
    // Numbers of a process that has not opened its store are 0.
    alert: 'LatchkeyStoreLocked',
    series: {
      ...turns('locked'),
      latchkey_slots_live: '5x9 2x500',
      latchkey_store_takes_writes: '1x9 0x500',
      latchkey_store_free_bytes: '50000000000x9 0x500',
      latchkey_older_dropped: '3x9 0x100 3x400',
    },
    labels: { state: 'locked' },
    silentAt: 13,
    firesAt: 300,
  },
  {
    alert: 'LatchkeyNotStarted',
    series: turns('starting'),
    labels: { state: 'starting' },
    silentAt: 18,
    firesAt: 21,
  },
  {
    alert: 'LatchkeyNotStarted',
    series: turns('fresh'),
    labels: { state: 'fresh' },
    silentAt: 18,
    firesAt: 21,
  },
  {
    alert: 'LatchkeyUnbacked',
    series: {
      ...turns('unbacked'),
      latchkey_slots_live: '5x9 0x500',
      latchkey_slots_wanted: '5x9 1x500',
      latchkey_slots_threshold: '3x9 1x500',
    },
    labels: { state: 'unbacked' },
    silentAt: 11,
    firesAt: 13,
  },
  {
    alert: 'LatchkeyUnclaimed',
    series: { ...turns('unclaimed'), latchkey_slots_live: '5x9 0x500' },
    labels: { state: 'unclaimed' },
    silentAt: 18,
    firesAt: 21,
  },
  {
    alert: 'LatchkeyFenced',
    series: { ...turns('fenced'), latchkey_slots_live: '5x9 0x500' },
    labels: { state: 'fenced' },
    silentAt: 9,
    firesAt: 10,
  },
  {
    alert: 'LatchkeySlotsBelowThreshold',
    series: { ...turns('degraded'), latchkey_slots_live: '5x9 2x500' },
    silentAt: 10,
    firesAt: 12,
  },
  {
    alert: 'LatchkeySlotsShort',
    series: { ...turns('degraded'), latchkey_slots_live: '5x9 3x500' },
    silentAt: 23,
    firesAt: 26,
  },
  {
    alert: 'LatchkeyClientsAtRisk',
    series: { latchkey_clients_at_risk: GOOD_FIRST },
    silentAt: 18,
    firesAt: 21,
  },
  {
    alert: 'LatchkeyOlderKeysOpen',
    series: { latchkey_older_generations_open: GOOD_FIRST },
    silentAt: 68,
    firesAt: 71,
  },
  {
    alert: 'LatchkeyOlderKeysOpen',
    series: { latchkey_former_lineages_open: GOOD_FIRST },
    silentAt: 68,
    firesAt: 71,
  },
  {
    alert: 'LatchkeyOlderKeysDropped',
    series: { latchkey_older_dropped: '3x99 4x900' },
    silentAt: 99,
    firesAt: 101,
  },
  {
    alert: 'LatchkeyDiskWriteFault',
    series: { latchkey_store_write_fault: GOOD_FIRST },
    silentAt: 9,
    firesAt: 10,
  },
  {
    alert: 'LatchkeyDiskNeedsRestart',
    series: { latchkey_store_takes_writes: '1x9 0x500' },
    silentAt: 10,
    firesAt: 12,
  },
  {
    alert: 'LatchkeyDiskAlmostFull',
    series: { latchkey_store_free_bytes: '50000000000x9 1000000000x500' },
    silentAt: 18,
    firesAt: 21,
  },
  {
    // 10 MB a minute of 50 GB: full after 83 hours at the start, after 71 when twelve have passed.
    alert: 'LatchkeyDiskFillsUp',
    series: { latchkey_store_free_bytes: '50000000000-10000000x1500' },
    silentAt: 480,
    firesAt: 780,
  },
  {
    alert: 'LatchkeyDiskFaults',
    series: { 'latchkey_store_faults_total{code="STORE_DISK_FULL"}': '_x10 1x500' },
    labels: { code: 'STORE_DISK_FULL' },
    silentAt: 9,
    firesAt: 11,
  },
  {
    alert: 'LatchkeyDiskFaults',
    series: { 'latchkey_store_faults_total{code="STORE_DISK_FULL"}': '1x99 2x500' },
    labels: { code: 'STORE_DISK_FULL' },
    silentAt: 60,
    firesAt: 101,
  },
  {
    alert: 'LatchkeyChainStandsStill',
    series: { latchkey_chain_finalized_block: '1000+10x9 1100x15' },
    silentAt: 18,
    firesAt: 31,
  },
  {
    alert: 'LatchkeyChainBehind',
    series: { latchkey_chain_finalized_block: '1000+10x9 1000+5x500' },
    silentAt: 18,
    firesAt: 60,
  },
  {
    alert: 'LatchkeyCollateralOld',
    series: { 'latchkey_collateral_state{state="grace"}': '_x10 2x500' },
    labels: { state: 'grace' },
    silentAt: 368,
    firesAt: 371,
  },
  {
    alert: 'LatchkeyCollateralRefused',
    series: { 'latchkey_collateral_state{state="refused"}': '_x10 1x500' },
    labels: { state: 'refused' },
    silentAt: 18,
    firesAt: 21,
  },
  {
    alert: 'LatchkeyTcbWarning',
    series: { 'latchkey_tcb_warnings{machines="servers"}': '0x9 2x500' },
    labels: { machines: 'servers' },
    silentAt: 68,
    firesAt: 71,
  },
  {
    // 30 days and ten minutes after the start of time.
    alert: 'LatchkeyTcbRefusedSoon',
    series: { 'latchkey_tcb_refused_from_seconds{machines="own"}': '2592600x500' },
    labels: { machines: 'own' },
    silentAt: 9,
    firesAt: 11,
  },
  {
    alert: 'LatchkeyFleetConflict',
    series: { latchkey_fleet_conflict: GOOD_FIRST },
    silentAt: 9,
    firesAt: 10,
  },
  {
    alert: 'LatchkeyFleetAwaited',
    series: { latchkey_fleet_awaited: GOOD_FIRST },
    silentAt: 68,
    firesAt: 71,
  },
  {
    // Seven days and ten minutes after the start of time.
    alert: 'LatchkeyFleetPermissionEnds',
    series: { latchkey_fleet_next_end_seconds: '605400x500' },
    silentAt: 18,
    firesAt: 21,
  },
  {
    alert: 'LatchkeyFleetServersBehind',
    series: { latchkey_fleet_servers_behind: GOOD_FIRST },
    silentAt: 1448,
    firesAt: 1451,
  },
  {
    alert: 'LatchkeyRekeyWaiting',
    series: { latchkey_fleet_rekey_waiting: GOOD_FIRST },
    silentAt: 1448,
    firesAt: 1451,
  },
  { alert: 'LatchkeyDrainForgotten', series: { latchkey_draining: GOOD_FIRST }, silentAt: 368, firesAt: 371 },
  {
    alert: 'LatchkeyDrainStuck',
    series: { latchkey_draining: GOOD_FIRST, latchkey_draining_clients: '0x9 2x500' },
    silentAt: 368,
    firesAt: 371,
  },
  {
    alert: 'LatchkeyRingDiffers',
    series: { latchkey_ring_differing_members: GOOD_FIRST },
    silentAt: 18,
    firesAt: 21,
  },
  ...['behind', 'joining', 'stopped'].map((standing) => ({
    alert: 'LatchkeyRingNotServing',
    series: {
      'latchkey_ring_standing{state="serving"}': '1x9 stale',
      [`latchkey_ring_standing{state="${standing}"}`]: '_x10 1x500',
    },
    labels: { state: standing },
    silentAt: 38,
    firesAt: 41,
  })),
  {
    alert: 'LatchkeyKeysRefused',
    series: { 'latchkey_keys_refused_total{code="QUOTE_MALFORMED"}': '_x10 40x500' },
    labels: { code: 'QUOTE_MALFORMED' },
    silentAt: 9,
    firesAt: 11,
  },
  {
    alert: 'LatchkeyKeysRefused',
    series: { 'latchkey_keys_refused_total{code="CHALLENGE_EXPIRED"}': '4x99 4+5x200' },
    labels: { code: 'CHALLENGE_EXPIRED' },
    silentAt: 103,
    firesAt: 120,
  },
  {
    alert: 'LatchkeyVaultFull',
    series: { 'latchkey_keys_refused_total{code="VAULT_FULL"}': '_x10 40x500' },
    labels: { code: 'VAULT_FULL' },
    silentAt: 9,
    firesAt: 11,
  },
  {
    alert: 'LatchkeyVaultFull',
    series: { 'latchkey_keys_refused_total{code="VAULT_FULL"}': '1x99 2x500' },
    labels: { code: 'VAULT_FULL' },
    silentAt: 60,
    firesAt: 101,
  },
  {
    alert: 'LatchkeyRequestsFail',
    series: { 'latchkey_http_requests_total{route="/challenge",status="500"}': '0x9 0+20x500' },
    silentAt: 20,
    firesAt: 40,
  },
  {
    alert: 'LatchkeyKeyRequestsSlow',
    series: {
      'latchkey_http_request_seconds_bucket{route="/request-encryption-key",le="0.1"}': '0+60x9 0x500',
    },
    silentAt: 20,
    firesAt: 40,
  },
  {
    alert: 'LatchkeyEventLoopSlow',
    series: { nodejs_eventloop_lag_p99_seconds: '0.1x9 2x500' },
    silentAt: 23,
    firesAt: 26,
  },
  {
    alert: 'LatchkeyFileDescriptorsLow',
    series: { process_open_fds: '80x9 900x500' },
    silentAt: 18,
    firesAt: 21,
  },
  ...['rejection', 'exception'].map((fault) => ({
    alert: 'LatchkeyDefect',
    series: { [`latchkey_process_faults_total{fault="${fault}"}`]: '_x10 1x500' },
    labels: { fault },
    silentAt: 9,
    firesAt: 11,
  })),
  {
    alert: 'LatchkeyLogLost',
    series: { 'latchkey_process_faults_total{fault="output"}': '_x10 1x500' },
    labels: { fault: 'output' },
    silentAt: 9,
    firesAt: 11,
  },
  {
    alert: 'LatchkeyInsecureTrustRoot',
    series: { latchkey_insecure_trust_root: GOOD_FIRST },
    silentAt: 9,
    firesAt: 10,
  },
];
