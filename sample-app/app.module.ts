import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { JwtHardeningModule, type JwtHardeningOptions } from 'nest-jwt-hardening';

import { AccountsController } from './accounts/accounts.controller.js';
import { KeysController } from './admin/keys.controller.js';
import { RevocationsController } from './admin/revocations.controller.js';
import { UsersController } from './admin/users.controller.js';
import { TransfersController } from './accounts/transfers.controller.js';
import { AuthController } from './auth/auth.controller.js';
import { nativeLogin } from './auth/native-login.js';
import { PasswordController } from './auth/password.controller.js';
import { noticeOfReuse } from './auth/reuse-notice.js';
import { SessionsController } from './auth/sessions.controller.js';
import { StepUpController } from './auth/step-up.controller.js';
import { TotpFactor } from './auth/totp-factor.js';
import { HealthController } from './health/health.controller.js';
import { MetricsController } from './health/metrics.controller.js';
import { ErrorFilter } from './http/error.filter.js';
import { Settings } from './settings.js';
import { MeController } from './users/me.controller.js';
import { UserDirectory } from './users/user-directory.js';
import { UsersModule } from './users/users.module.js';

const OAUTH_PATHS = {
  authorizationPath: '/oauth/authorize',
  tokenPath: '/oauth/token',
  metadataPath: '/.well-known/oauth-authorization-server',
  revocationPath: '/oauth/revoke',
  introspectionPath: '/oauth/introspect',
} as const;

/** The bank. The library is one import; every route below is protected by it. */
@Module({
  imports: [UsersModule],
  controllers: [
    AuthController,
    PasswordController,
    StepUpController,
    SessionsController,
    MeController,
    AccountsController,
    TransfersController,
    UsersController,
    KeysController,
    RevocationsController,
    HealthController,
    MetricsController,
  ],
  providers: [{ provide: APP_FILTER, useClass: ErrorFilter }],
})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return {
      module: AppModule,
      imports: [
        JwtHardeningModule.forRootAsync({
          ...OAUTH_PATHS,
          imports: [UsersModule],
          inject: [UserDirectory, TotpFactor],
          useFactory: (users: UserDirectory, totp: TotpFactor) =>
            withUsers(settings.jwt, users, totp),
        }),
      ],
      providers: [{ provide: Settings, useValue: settings }],
    };
  }
}

/** What the library asks of the bank: who logs in, what they may do by now, whom to warn. */
function withUsers(
  options: JwtHardeningOptions,
  users: UserDirectory,
  totp: TotpFactor,
): JwtHardeningOptions {
  return {
    ...options,
    authorization: { login: nativeLogin(users), scopes: ['accounts:read', 'transfers:write'] },
    sessions: {
      ...options.sessions,
      entitlements: ({ subject }) => {
        const user = users.find(subject);
        return user === undefined ? null : { scope: user.scopes, roles: user.roles };
      },
      onReuse: noticeOfReuse,
    },
    stepUp: { ...options.stepUp, secondFactor: totp },
  };
}
