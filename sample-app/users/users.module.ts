import { Module } from '@nestjs/common';

import { UserDirectory } from './user-directory.js';

/** Who there is; asked by the bank's own routes and by the library. */
@Module({
  providers: [{ provide: UserDirectory, useFactory: () => UserDirectory.open() }],
  exports: [UserDirectory],
})
export class UsersModule {}
