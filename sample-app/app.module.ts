import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { JwtHardeningModule } from 'nest-jwt-hardening';

import { AccountsController } from './accounts/accounts.controller.js';
import { KeysController } from './admin/keys.controller.js';
import { RevocationsController } from './admin/revocations.controller.js';
import { UsersController } from './admin/users.controller.js';
import { AuthController } from './auth/auth.controller.js';
import { PasswordController } from './auth/password.controller.js';
import { SessionsController } from './auth/sessions.controller.js';
import { HealthController } from './health/health.controller.js';
import { MetricsController } from './health/metrics.controller.js';
import { ErrorFilter } from './http/error.filter.js';
import { Settings } from './settings.js';
import { MeController } from './users/me.controller.js';
import { UserDirectory } from './users/user-directory.js';

const OAUTH_PATHS = {
  revocationPath: '/oauth/revoke',
  introspectionPath: '/oauth/introspect',
} as const;

/** The bank. The library is one import; every route below is protected by it. */
@Module({
  controllers: [
    AuthController,
    PasswordController,
    SessionsController,
    MeController,
    AccountsController,
    UsersController,
    KeysController,
    RevocationsController,
    HealthController,
    MetricsController,
  ],
  providers: [
    { provide: UserDirectory, useFactory: () => UserDirectory.open() },
    { provide: APP_FILTER, useClass: ErrorFilter },
  ],
})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return {
      module: AppModule,
      imports: [JwtHardeningModule.forRoot({ ...settings.jwt, ...OAUTH_PATHS })],
      providers: [{ provide: Settings, useValue: settings }],
    };
  }
}
