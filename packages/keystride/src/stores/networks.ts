import { BlockList, isIP } from 'node:net';

/** Whether an address is one of these, or in one of these networks, such as `10.0.0.0/8`. */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', length] = network.split('/');
    const family = familyOf(address);
    if (length === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(length), family);
  }
  // A socket of IPv6 shows a peer of IPv4 as ::ffff:10.0.0.7, which the list takes for what it is.
  return (address) => isIP(address) > 0 && list.check(address, familyOf(address));
}

const ownAddresses = inNetworks(['127.0.0.0/8', '::1']);

/** Whether only this machine can reach an address that is listened on. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || ownAddresses(hostname);
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
