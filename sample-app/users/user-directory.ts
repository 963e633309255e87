import { randomBytes } from 'node:crypto';

import { DEMO_USERS, demoPassword, type User } from './demo-users.js';
import { hashPassword, isPassword, type PasswordHash } from './password-hash.js';

/** Who there is, and whether someone is who they say. */
export class UserDirectory {
  private constructor(
    private readonly users: ReadonlyMap<string, User>,
    private readonly hashes: ReadonlyMap<string, PasswordHash>,
    private readonly decoy: PasswordHash,
  ) {}

  static async open(): Promise<UserDirectory> {
    const hashes = DEMO_USERS.map(
      async (user) => [user.name, await hashPassword(demoPassword(user))] as const,
    );
    return new UserDirectory(
      new Map(DEMO_USERS.map((user) => [user.name, user])),
      new Map(await Promise.all(hashes)),
      await hashPassword(randomBytes(32).toString('base64url')),
    );
  }

  list(): readonly User[] {
    return [...this.users.values()];
  }

  /**
   * The user with this name and password. An unknown name costs as much work as a wrong password,
   * or the time of the answer would tell which names exist.
   */
  async authenticate(name: string, password: string): Promise<User | undefined> {
    const matches = await isPassword(password, this.hashes.get(name) ?? this.decoy);
    return matches ? this.users.get(name) : undefined;
  }
}
