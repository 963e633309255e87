import { Controller, Get } from '@nestjs/common';
import { Roles } from 'nest-jwt-hardening';

import { UserDirectory } from '../users/user-directory.js';

interface UserRow {
  readonly username: string;
  readonly roles: readonly string[];
  readonly scope: string;
}

@Roles('admin')
@Controller('admin/users')
export class UsersController {
  constructor(private readonly users: UserDirectory) {}

  @Get()
  list(): readonly UserRow[] {
    return this.users
      .list()
      .map(({ name, roles, scopes }) => ({ username: name, roles, scope: scopes.join(' ') }));
  }
}
