import { ConfigModule, ConfigService, type ConfigType } from '@nestjs/config';
import { Test, type TestingModule } from '@nestjs/testing';

import { jwtHardeningConfig } from '../../lib/config/namespace.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { newPrivateJwk } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';
import { pathsOf } from './config-problems.js';

const GOOD = { JWT_ISSUER: 'https://env.example', JWT_AUDIENCE: 'env-api', JWT_ACCESS_TTL: '5m' };

/** The process as it would be started with these variables, until the action is over. */
async function within<T>(
  variables: Readonly<Record<string, string>>,
  action: () => Promise<T>,
): Promise<T> {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    return await action();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

const viaProvider = (): Promise<TestingModule> =>
  Test.createTestingModule({
    imports: [JwtHardeningModule.forRootAsync(jwtHardeningConfig.asProvider())],
  }).compile();

const viaConfigModule = (): Promise<TestingModule> =>
  Test.createTestingModule({
    imports: [
      ConfigModule.forRoot({ load: [jwtHardeningConfig], ignoreEnvFile: true, isGlobal: true }),
      JwtHardeningModule.forRootAsync({
        inject: [jwtHardeningConfig.KEY],
        useFactory: (config: ConfigType<typeof jwtHardeningConfig>) => config,
      }),
    ],
  }).compile();

describe.each([
  ['forRootAsync(jwtHardeningConfig.asProvider())', viaProvider],
  ['ConfigModule.forRoot({ load: [jwtHardeningConfig] })', viaConfigModule],
])('%s', (_name, compile) => {
  it('runs on the environment', async () => {
    const module = await within(GOOD, compile);
    const tokens = module.get(TokenService);
    const { token, claims, expiresIn } = await tokens.sign({ sub: 'alice' });
    recordSecret(token);
    expect(claims).toMatchObject({ iss: 'https://env.example', aud: 'env-api' });
    expect(expiresIn).toBe(300);
    expect((await tokens.verify(token)).subject).toBe('alice');
    await module.close();
  });

  it('signs with the key of the environment', async () => {
    const jwk = { ...(await newPrivateJwk('Ed25519')), kid: 'from-env' };
    const variables = { ...GOOD, JWT_SIGNING_JWK: JSON.stringify(jwk) };
    const module = await within(variables, compile);
    expect(module.get(KeyRingService).rotates).toBe(false);
    expect((await module.get(KeyRingService).signingKey()).kid).toBe('from-env');
    await module.close();
  });

  it('stops the start with all problems, by the names of the variables', async () => {
    const bad = { JWT_ISSUER: '', JWT_ACCESS_TTL: '900', JWT_PROFILE: 'x' };
    const paths = await pathsOf(within(bad, compile));
    expect(paths.toSorted()).toEqual([
      'JWT_ACCESS_TTL',
      'JWT_AUDIENCE',
      'JWT_ISSUER',
      'JWT_PROFILE',
    ]);
  });
});

it('the options are readable through ConfigService, too', async () => {
  const module = await within(GOOD, viaConfigModule);
  expect(module.get(ConfigService).get('jwtHardening.issuer')).toBe('https://env.example');
  await module.close();
});
