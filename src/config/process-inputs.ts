/** One input from outside that a process of this program reads. */
export interface ProcessInput {
  readonly kind: 'environment' | 'file' | 'flag' | 'socket' | 'kernel';
  readonly name: string;
  /**
   * `trust hash`: a change needs another MRCONFIGID. `verified`: the host can change it, and the program refuses what
   * is not genuine. `not covered`: the host decides.
   */
  readonly protection: 'trust hash' | 'verified' | 'not covered';
  /** What the host can do with it. */
  readonly effect: string;
  /**
   * The promises of docs/threat-model.md that the host ends with it, unless the measured image fixes it. The threat model
   * has the same table.
   */
  readonly ends?: readonly number[];
  /** Files below `src` that read it; a test compares them with the code. */
  readonly readBy: readonly string[];
}

/** Every input of a process of this program; `latchkey doctor` prints it. */
export const processInputs: readonly ProcessInput[] = [
  {
    kind: 'environment',
    name: 'LATCHKEY_*',
    protection: 'not covered',
    effect: 'overrides single keys outside of the trust section; docs/configuration.md lists them',
    readBy: ['cli/shared/config-options.ts'],
  },
  {
    kind: 'environment',
    name: 'DECRYPTIONS_*, ROCKET_*',
    protection: 'not covered',
    effect: 'settings of `latchkey decryptions`; a node does not read them',
    readBy: ['cli/commands/decryptions.ts'],
  },
  {
    kind: 'environment',
    name: 'NODE_*, LD_*, OPENSSL_*, SSL_*, MALLOC_*, ICU_*, GLIBC_TUNABLES, GCONV_PATH and resolver variables',
    protection: 'not covered',
    effect:
      'load code and change the process: `serve`, `unlock`, `restore` and `luks` refuse them outside of development, but in the process that was changed, so that code which was loaded can hide its variable. This finds mistakes and stops no host: command line and environment of `serve` have to be part of the measured image',
    ends: [1, 2, 3, 4, 5, 6],
    readBy: ['cli/shared/config-options.ts', 'cli/commands/doctor.ts'],
  },
  {
    kind: 'environment',
    name: 'NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID',
    protection: 'not covered',
    effect:
      'where the state of the service is told and how often, by /usr/bin/systemd-notify; nothing comes back, and no child inherits them',
    readBy: ['cli/commands/serve.ts', 'cli/service/systemd-notify.ts'],
  },
  {
    kind: 'environment',
    name: 'NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, TERM, COLORTERM, COLORFGBG, CI, TMUX, TEAMCITY_VERSION, TZ, NODE_DISABLE_COLORS, WS_NO_BUFFER_UTIL, WS_NO_UTF_8_VALIDATE, UV_*',
    protection: 'not covered',
    effect: 'read by libraries: the look of texts, and which code path of equal meaning is taken',
    readBy: [],
  },
  {
    kind: 'flag',
    name: 'flags of Node (--import, --inspect and others)',
    protection: 'not covered',
    effect:
      'load code, open the debugger, write the memory into a file: all but a few are refused, as the variables above and with the same limit. The command line has to be part of the measured image',
    ends: [1, 2, 3, 4, 5, 6],
    readBy: ['cli/shared/config-options.ts', 'cli/commands/doctor.ts'],
  },
  {
    kind: 'flag',
    name: '--insecure-trust-root',
    protection: 'not covered',
    effect:
      'this node believes every quote up to the given certificate, so whoever chose it gets keys and shares without a TDX machine; variables and flags are refused no more. Peers do not see it: a quote of this machine shows the trust hash only. The command line has to be part of the measured image',
    ends: [1, 2],
    readBy: ['cli/main.ts'],
  },
  {
    kind: 'flag',
    name: '--accept-rolled-back-store',
    protection: 'not covered',
    effect:
      'at each start with it this node opens an older disk, once, whatever the key servers remember, and gives up what a newer instance wrote under a former store key. The command line has to be part of the measured image, without this option',
    ends: [4, 5],
    readBy: ['cli/main.ts'],
  },
  {
    kind: 'flag',
    name: '--config and the other options',
    protection: 'not covered',
    effect:
      'which files are read, and what one command does; the trust section in the file is covered by the trust hash',
    readBy: ['cli/main.ts', 'chain/decoder/main.ts'],
  },
  {
    kind: 'file',
    name: 'configuration file, section trust',
    protection: 'trust hash',
    effect: 'none: another section is another MRCONFIGID, and peers refuse it',
    readBy: ['cli/shared/config-options.ts'],
  },
  {
    kind: 'file',
    name: 'configuration file, other sections',
    protection: 'not covered',
    effect: 'addresses, limits, intervals, which endpoints are asked; SIGHUP reads the file again',
    readBy: ['cli/shared/config-options.ts'],
  },
  {
    kind: 'file',
    name: 'configuration and backup files of `rituals` and `decryptions`',
    protection: 'not covered',
    effect: 'settings of these commands',
    readBy: ['cli/rituals/config-file.ts', 'cli/rituals/backup.ts', 'cli/commands/decryptions.ts'],
  },
  {
    kind: 'file',
    name: 'files of tokens and passwords',
    protection: 'not covered',
    effect: 'whoever writes the file chooses the token or password',
    readBy: [
      'config/secrets.ts',
      'config/file-permissions.ts',
      'cli/shared/decryptions-server.ts',
      'cli/shared/user-file.ts',
    ],
  },
  {
    kind: 'file',
    name: 'data folder: sealed store, keyslot file, locks',
    protection: 'verified',
    effect: 'damage is refused; an older copy is refused as far as the key servers remember',
    readBy: [
      'disk/descriptor-pool.ts',
      'disk/descriptors.ts',
      'disk/lock-owner.ts',
      'disk/socket-lock.ts',
      'disk/node-file-handle.ts',
      'disk/node-file-system.ts',
    ],
  },
  {
    kind: 'file',
    name: 'files of fleet manifests (fleet.files)',
    protection: 'verified',
    effect: 'none: the authority of the trust section signs each manifest; a missing file withholds one',
    readBy: ['disk/node-file-system.ts'],
  },
  {
    kind: 'file',
    name: 'collateral files',
    protection: 'verified',
    effect: 'older collateral, as long as it is valid',
    readBy: ['cli/commands/collateral.ts'],
  },
  {
    kind: 'file',
    name: 'files named on the command line: quotes, backups, certificates of a trust root',
    protection: 'not covered',
    effect: 'inputs of one command',
    readBy: [
      'cli/quote/inputs.ts',
      'cli/shared/file-io.ts',
      'cli/shared/config-options.ts',
      'cli/commands/backup.ts',
      'cli/shared/backup-location.ts',
      'cli/custody/answer.ts',
    ],
  },
  {
    kind: 'file',
    name: 'the program cryptsetup, block devices and the folder in memory of `latchkey luks`',
    protection: 'not covered',
    effect:
      'the program gets the passphrase of a volume; it is part of the measured image, the device is not',
    readBy: ['cli/commands/luks.ts', 'cli/luks/cryptsetup.ts', 'cli/luks/volume.ts'],
  },
  {
    kind: 'environment',
    name: 'all variables, and the command of `latchkey conformance --client`',
    protection: 'not covered',
    effect:
      'passed on to the client of a developer, whose requests a local listener answers; no node runs this',
    readBy: ['conformance/client/run-command.ts', 'conformance/client/scripted-listener.ts'],
  },
  {
    kind: 'file',
    name: 'standard input of `store`, `secret`, `quote` and `config init`',
    protection: 'not covered',
    effect: 'inputs of one command',
    readBy: ['cli/store/io.ts', 'cli/commands/quote.ts', 'cli/commands/config.ts', 'cli/secrets/session.ts'],
  },
  {
    kind: 'file',
    name: 'package.json and status page of this program',
    protection: 'not covered',
    effect: 'the version and the page that are shown; part of the measured image, as the program is',
    readBy: ['cli/shared/version.ts', 'http/page-app.ts'],
  },
  {
    kind: 'socket',
    name: 'listen, metrics, page, decryptions (TCP) and agent (Unix, 0600)',
    protection: 'not covered',
    effect:
      'the key protocol is verified by quote and MAC; the agent believes every program that may open its socket',
    readBy: [
      'http/listener.ts',
      'decryptions/serve-app.ts',
      'cli/shared/agent-client.ts',
      'client/agent-connection.ts',
    ],
  },
  {
    kind: 'socket',
    name: 'chain endpoints, collateral endpoints, peers (TCP, DNS)',
    protection: 'verified',
    effect:
      'with a checkpoint the chain is read by proof; without one the endpoints are believed. Silence delays',
    readBy: ['chain/json-rpc-socket.ts', 'outbound/bounded-fetch.ts', 'outbound/bounded-http.ts'],
  },
  {
    kind: 'socket',
    name: 'etcd cluster of `latchkey decryptions` (TCP, TLS, DNS)',
    protection: 'not covered',
    effect: 'holds the results in clear: whoever answers for it chooses them. A node does not use it',
    readBy: ['decryptions/etcd/etcd-http.ts'],
  },
  {
    kind: 'socket',
    name: 'upstream services of users’ secrets (TCP, TLS, DNS)',
    protection: 'verified',
    effect:
      'TLS proves the name by measured authorities, whatever the resolver says; secrets that allow plain http are not protected',
    readBy: ['secrets/relay/upstream.ts', 'secrets/relay/name-servers.ts'],
  },
  {
    kind: 'kernel',
    name: 'addresses of the network interfaces',
    protection: 'not covered',
    effect: 'the relay for users’ secrets refuses them; the host gives the machine its addresses',
    readBy: ['secrets/relay/own-addresses.ts'],
  },
  {
    kind: 'kernel',
    name: '/sys/kernel/config/tsm/report',
    protection: 'verified',
    effect: 'a quote that is not genuine is refused by peers',
    readBy: ['quote-source/tsm-file-system.ts', 'quote-source/configfs-quote-source.ts'],
  },
  {
    kind: 'kernel',
    name: '/proc/self/fd, /proc/self/oom_score_adj, priority',
    protection: 'not covered',
    effect: 'short names of sockets; the decoder of metadata ends first when memory runs out',
    readBy: ['disk/socket-lock.ts', 'chain/decoder/main.ts', 'chain/decoder/watchdog.ts'],
  },
  {
    kind: 'kernel',
    name: '/proc/self/coredump_filter',
    protection: 'not covered',
    effect: 'written by `serve`: its memory is in no core file',
    readBy: ['cli/service/core-files.ts'],
  },
  {
    kind: 'kernel',
    name: '/proc and /sys/fs/cgroup, file systems and modes, for `latchkey doctor`',
    protection: 'not covered',
    effect: 'what the command says; nothing is decided by it',
    readBy: [
      'cli/doctor/disk.ts',
      'cli/doctor/finding.ts',
      'cli/doctor/memory.ts',
      'cli/doctor/permissions.ts',
      'cli/shared/doctor-findings.ts',
    ],
  },
  {
    kind: 'kernel',
    name: 'clock, random numbers, signals, processes',
    protection: 'not covered',
    effect:
      'the clock is bounded below by proven blocks; random numbers are those of the kernel of the machine',
    readBy: ['chain/decoder-process.ts', 'cli/shared/stray-signals.ts', 'cli/shared/termination-signal.ts'],
  },
];
