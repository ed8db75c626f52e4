import { networkInterfaces } from 'node:os';

/** All addresses of the interfaces of this machine, without zones. @param interfaces as `os.networkInterfaces` gives them. */
export const ownAddresses = (interfaces: typeof networkInterfaces = networkInterfaces): readonly string[] =>
  Object.values(interfaces()).flatMap((addresses = []) =>
    addresses.map(({ address }) => address.replace(/%.*$/, '')),
  );
