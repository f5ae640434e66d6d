import { isIP } from 'node:net';
import { inNetworks } from '../../stores/networks.ts';

/** Whether only this machine can reach an address that is listened on. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || (isIP(hostname) > 0 && inNetworks(['127.0.0.0/8', '::1'])(hostname));
}
