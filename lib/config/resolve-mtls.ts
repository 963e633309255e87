import type { IpNetwork } from '../binding/ip-address.js';
import type { MtlsConfig } from '../binding/mtls/client-certificates.js';
import type { OptionReader } from './option-reader.js';

const PATH = 'binding.mtls';

/** How client certificates are read; `null` if they are not. All problems are noted. */
export function readMtls(
  reader: OptionReader,
  trustedProxies: readonly IpNetwork[],
): MtlsConfig | null {
  const value = reader.get(PATH);
  if (value === undefined || value === null) return null;
  reader.expectOnly(PATH, ['certificates', 'proxyHeader']);
  return Object.freeze({
    certificates: reader.oneOf(`${PATH}.certificates`, ['authorized', 'any'], 'authorized'),
    proxyHeader: readProxyHeader(reader, trustedProxies),
    trustedProxies,
  });
}

function readProxyHeader(
  reader: OptionReader,
  trustedProxies: readonly IpNetwork[],
): MtlsConfig['proxyHeader'] {
  const path = `${PATH}.proxyHeader`;
  const value = reader.get(path);
  if (value === undefined || value === null) return null;
  if (value !== 'Client-Cert') {
    reader.refuse(path, "Write 'Client-Cert', or null if no proxy ends TLS in front");
    return null;
  }
  if (trustedProxies.length === 0 && reader.isSound('transport.trustedProxies')) {
    const fix = 'Name your proxies in transport.trustedProxies, or leave it out';
    reader.add(path, 'there is no proxy whose word would count', fix);
  }
  return value;
}
