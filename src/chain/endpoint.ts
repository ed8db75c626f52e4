/** Longest endpoint that Entropy's runtime accepts (MaxEndpointLength); longer ones are refused here too. */
export const MAX_ENDPOINT_BYTES = 100;

const ipv4Part = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipv4 = new RegExp(`^${ipv4Part}(?:\\.${ipv4Part}){3}$`);
const ipv6 = /^\[[0-9a-fA-F:.]{2,45}\]$/;
const dnsLabel = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;

function isHost(host: string): boolean {
  if (ipv6.test(host)) return URL.canParse(`http://${host}/`);
  // What ends in a number is an IPv4 address or nothing; `http://1.2.3/` would otherwise mean 1.2.0.3.
  if (/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/i.test(host)) return ipv4.test(host);
  return host.split('.').every((label) => dnsLabel.test(label));
}

/**
 * Whether a registered endpoint is plain `host:port`: a DNS name, an IPv4 address or a bracketed IPv6 address, and a
 * port from 1 to 65535. Anything that could smuggle a path, credentials or another scheme into `http://` + endpoint is
 * not.
 */
export function isServerEndpoint(text: string): boolean {
  if (text.length > MAX_ENDPOINT_BYTES) return false;
  const parts = /^(.+):([1-9]\d{0,4})$/.exec(text);
  if (parts === null) return false;
  const [, host = '', port = ''] = parts;
  return Number(port) <= 65_535 && isHost(host);
}
