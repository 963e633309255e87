import { Controller, Get, type INestApplication } from '@nestjs/common';
import { ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';

import { Public, Roles } from '../../lib/guard/decorators.js';
import { RouteAudit } from '../../lib/guard/route-audit.js';
import { SecurityEvents } from '../../lib/events/security-events.js';
import { JwtHardeningModule } from '../../lib/jwt-hardening.module.js';
import { AUDIENCE, ISSUER } from '../support/guarded-app.js';
import { freePort } from '../support/processes.js';

let reached: string[];

@Controller()
class Ledger {
  @MessagePattern('balance')
  @Roles('admin')
  balance(): string {
    reached.push('balance');
    return 'secret';
  }

  @MessagePattern({ cmd: 'ping' })
  @Public()
  ping(): string {
    reached.push('ping');
    return 'pong';
  }

  @Get()
  @Public()
  root(): string {
    return 'open';
  }
}

async function startHybrid(options: { readonly inheritAppConfig?: true }): Promise<{
  readonly app: INestApplication;
  readonly call: (pattern: unknown) => Promise<unknown>;
}> {
  const module = await Test.createTestingModule({
    imports: [JwtHardeningModule.forRoot({ issuer: ISSUER, audience: AUDIENCE })],
    controllers: [Ledger],
  }).compile();
  const app = module.createNestApplication();
  const port = await freePort();
  const tcp = { host: '127.0.0.1', port };
  app.connectMicroservice({ transport: Transport.TCP, options: tcp }, options);
  await app.startAllMicroservices();
  await app.init();
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options: tcp });
  const call = async (pattern: unknown): Promise<unknown> => {
    try {
      return await firstValueFrom(client.send<unknown>(pattern, { token: 'none' }));
    } catch (error) {
      return error;
    } finally {
      client.close();
    }
  };
  return { app, call };
}

beforeEach(() => {
  reached = [];
});

describe.each([
  ['without the configuration of the application, as Nest does by default', {}],
  ['with the configuration of the application', { inheritAppConfig: true }],
] as const)('a microservice in a hybrid application, %s', (_, options) => {
  it.each(['balance', { cmd: 'ping' }])('never reaches its handler: %j', async (pattern) => {
    const { app, call } = await startHybrid(options);
    const denied: string[] = [];
    app.get(SecurityEvents).on('access.denied', ({ code }) => denied.push(code));
    expect(await call(pattern)).toMatchObject({ status: 'error' });
    expect(reached).toEqual([]);
    expect(new Set(denied)).toEqual(new Set(['ERR_ACCESS_UNSUPPORTED_CONTEXT']));
    await app.close();
  });
});

it('is what the table of routes says', async () => {
  const { app } = await startHybrid({});
  const messages = app
    .get(RouteAudit)
    .routes()
    .filter(({ context }) => context === 'message');
  expect(messages.map(({ handler, demands }) => [handler, demands])).toEqual([
    ['Ledger.balance', ['refused']],
    ['Ledger.ping', ['refused']],
  ]);
  await app.close();
});
