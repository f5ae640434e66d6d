import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { inNetworks } from '../networks.ts';
import { Unacceptable } from './errors.ts';

/** Addresses of a network's own, of no network, and those by which others are reached (NAT64, 6to4). */
export const isPrivate = inNetworks([
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::/127', 'fc00::/7', 'fe80::/10', 'ff00::/8', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16'],
]);

/** Where a cloud tells a machine its credentials. */
const isMetadata = inNetworks(['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254']);

let listedNames: readonly string[] = [];
let isListed = inNetworks([]);

/**
 * Says which hosts of private networks the APIs and webhooks of this process may be at.
 * @param hosts names, addresses, and networks such as `10.0.0.0/8`
 */
export function allowPrivateHosts(hosts: readonly string[]): void {
  listedNames = hosts.map((host) => host.toLowerCase());
  isListed = inNetworks(hosts.filter((host) => isIP(host.split('/', 1)[0] ?? '') > 0));
}

/** How long a connection may take, in milliseconds. */
const connectTimeout = 5_000;

/**
 * Connects to the host of an API and to no other, whatever a path, a redirection or a name's address would lead to. Its
 * name must not lead into a private network unless it is listed. A number that the deployment has written as the API's
 * address is meant, but for those of metadata services.
 *
 * @param lookUp finds the addresses of a name
 */
export function connectorTo(base: string, lookUp: typeof lookup = lookup): buildConnector.connector {
  const own = new URL(base);
  const host = bare(own.hostname);
  const connect = buildConnector({ timeout: connectTimeout, lookup: publicAddresses(lookUp) });
  return (options, callback) => {
    const { hostname, protocol, port } = options;
    if (bare(hostname) !== host || protocol !== own.protocol || (port ?? '') !== own.port)
      return callback(new Unacceptable('the call would lead to another host than the API is at'), null);
    if (isMetadata(host) && !isListed(host)) return callback(notListed(host), null);
    return connect(options, callback);
  };
}

/** Without the brackets of an address of IPv6. */
function bare(hostname: string): string {
  return hostname.replaceAll(/[[\]]/gu, '').toLowerCase();
}

/** Looks a name up as every connection does. What is connected to is what was looked at: it is not looked up again. */
function publicAddresses(lookUp: typeof lookup): LookupFunction {
  return (hostname, options, callback) =>
    lookUp(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const name = hostname.toLowerCase();
      const isOpen = name === 'localhost' || listedNames.includes(name);
      const hidden = addresses.some(({ address }) => isPrivate(address) && !isListed(address));
      if (hidden && !isOpen) return callback(notListed(hostname), []);
      const [first] = addresses;
      return options.all ? callback(null, addresses) : callback(null, first?.address ?? '', first?.family);
    });
}

function notListed(host: string): Unacceptable {
  return new Unacceptable(
    `${host} is in a private network: where it is meant to be there, name it in KEYSTRIDE_PRIVATE_HOSTS`,
  );
}
