// Exit 0 while the node's open port answers. The argument is the port, by default that of the configuration's template.
const port = process.argv[2] ?? process.env.LATCHKEY_LISTEN_PORT ?? '3001';
const signal = AbortSignal.timeout(4_000);
const isAlive = await fetch(`http://127.0.0.1:${port}/healthz`, { signal }).then(
  ({ ok }) => ok,
  () => false,
);
process.exit(isAlive ? 0 : 1);
