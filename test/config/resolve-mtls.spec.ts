import { readIpNetwork } from '../../lib/binding/ip-address.js';
import type { MtlsConfig } from '../../lib/binding/mtls/client-certificates.js';
import { OptionReader } from '../../lib/config/option-reader.js';
import { readMtls } from '../../lib/config/resolve-mtls.js';
import type { ConfigProblem } from '../../lib/kernel/errors.js';
import { recordOutput } from '../support/witness.js';

const PROXIES = [readIpNetwork('10.0.0.0/8')].flatMap((network) => (network ? [network] : []));

interface Outcome {
  readonly config: MtlsConfig | null;
  readonly problems: readonly ConfigProblem[];
}

function read(mtls: unknown, trustedProxies = PROXIES): Outcome {
  const reader = new OptionReader({ binding: { mtls } });
  const config = readMtls(reader, trustedProxies);
  recordOutput(JSON.stringify(reader.problems));
  return { config, problems: reader.problems };
}

describe('binding.mtls', () => {
  it.each([undefined, null])('is off with %j', (mtls) => {
    expect(read(mtls)).toEqual({ config: null, problems: [] });
  });

  it.each([
    [{}, 'authorized', null],
    [{ certificates: undefined, proxyHeader: undefined }, 'authorized', null],
    [{ certificates: 'any', proxyHeader: null }, 'any', null],
    [{ certificates: 'authorized', proxyHeader: 'Client-Cert' }, 'authorized', 'Client-Cert'],
  ])('reads %j', (mtls, certificates, proxyHeader) => {
    const { config, problems } = read(mtls);
    expect(config).toEqual({ certificates, proxyHeader, trustedProxies: PROXIES });
    expect(problems).toEqual([]);
    expect(Object.isFrozen(config)).toBe(true);
  });

  it.each([
    [true, 'binding.mtls'],
    [[], 'binding.mtls'],
    ['on', 'binding.mtls'],
    [{ certificates: 'all' }, 'binding.mtls.certificates'],
    [{ certificates: null }, 'binding.mtls.certificates'],
    [{ certificates: true }, 'binding.mtls.certificates'],
    [{ proxyHeader: 'client-cert' }, 'binding.mtls.proxyHeader'],
    [{ proxyHeader: 'X-Forwarded-Client-Cert' }, 'binding.mtls.proxyHeader'],
    [{ proxyHeader: 'X-SSL-Client-Cert' }, 'binding.mtls.proxyHeader'],
    [{ proxyHeader: true }, 'binding.mtls.proxyHeader'],
    [{ proxyHeader: '' }, 'binding.mtls.proxyHeader'],
    [{ trustedProxies: ['10.0.0.0/8'] }, 'binding.mtls.trustedProxies'],
  ])('refuses %j', (mtls, path) => {
    expect(read(mtls).problems).toMatchObject([{ path }]);
  });

  it('takes certificates that nobody validated only if it is told to', () => {
    expect(read({ certificates: 'al' }).config).toMatchObject({ certificates: 'authorized' });
  });

  it('needs a proxy where a proxy is to hand on certificates', () => {
    expect(read({ proxyHeader: 'Client-Cert' }, []).problems).toMatchObject([
      { path: 'binding.mtls.proxyHeader', fix: expect.stringContaining('trustedProxies') },
    ]);
  });

  it('repeats no value in a problem', () => {
    const { problems } = read({ certificates: 'planted', proxyHeader: 'planted' });
    expect(problems).toHaveLength(2);
    expect(JSON.stringify(problems)).not.toContain('planted');
  });
});
