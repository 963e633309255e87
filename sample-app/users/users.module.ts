import { Module } from '@nestjs/common';

import { TotpFactor } from '../auth/totp-factor.js';
import { UserDirectory } from './user-directory.js';

/** Who there is and how they prove it; asked by the bank's own routes and by the library. */
@Module({
  providers: [{ provide: UserDirectory, useFactory: () => UserDirectory.open() }, TotpFactor],
  exports: [UserDirectory, TotpFactor],
})
export class UsersModule {}
