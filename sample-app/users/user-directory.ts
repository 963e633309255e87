import { randomBytes } from 'node:crypto';

import { DEMO_USERS, demoPassword, type User } from './demo-users.js';
import {
  HASH_COST,
  type HashCost,
  hashPassword,
  isPassword,
  type PasswordHash,
} from './password-hash.js';

/** Someone who showed that they are this user. */
export interface Authentication {
  readonly user: User;
  /** Whether the password they showed it with is still the user's. */
  stillHolds(): boolean;
}

/**
 * Who there is, and whether someone is who they say. All of it is in this process, as the users of a
 * demo may be: another process on the same Redis goes on with the old password, and a restart brings
 * it back. A real service keeps hashes where all its processes look, and nothing else changes here.
 */
export class UserDirectory {
  readonly #seeded: ReadonlyMap<string, PasswordHash>;

  private constructor(
    private readonly users: ReadonlyMap<string, User>,
    private readonly hashes: Map<string, PasswordHash>,
    private readonly decoy: PasswordHash,
  ) {
    this.#seeded = new Map(hashes);
  }

  static async open(cost: HashCost = HASH_COST): Promise<UserDirectory> {
    const hashes = DEMO_USERS.map(
      async (user) => [user.name, await hashPassword(demoPassword(user), cost)] as const,
    );
    return new UserDirectory(
      new Map(DEMO_USERS.map((user) => [user.name, user])),
      new Map(await Promise.all(hashes)),
      await hashPassword(randomBytes(32).toString('base64url'), cost),
    );
  }

  list(): readonly User[] {
    return [...this.users.values()];
  }

  find(name: string): User | undefined {
    return this.users.get(name);
  }

  /**
   * The user with this name and password. An unknown name costs as much work as a wrong password,
   * or the time of the answer would tell which names exist.
   */
  async authenticate(name: string, password: string): Promise<Authentication | undefined> {
    const hash = this.hashes.get(name) ?? this.decoy;
    const matches = await isPassword(password, hash);
    const user = this.users.get(name);
    if (!matches || user === undefined) return undefined;
    return { user, stillHolds: () => this.hashes.get(name) === hash };
  }

  /**
   * Gives a user another password and ends what was issued for the old one, in this order: nobody
   * may log in by the old one once its tokens have ended. If those cannot be ended, the old password
   * stays, so that the user can ask again.
   * @returns `refused` for a wrong password, and if another change was faster
   */
  async changePassword(
    name: string,
    { password, newPassword }: { readonly password: string; readonly newPassword: string },
    endTokens: () => Promise<unknown>,
  ): Promise<'changed' | 'refused'> {
    const old = this.hashes.get(name);
    const authentication = await this.authenticate(name, password);
    const hash = authentication && (await hashPassword(newPassword, this.decoy.cost));
    if (old === undefined || hash === undefined || !authentication?.stillHolds()) return 'refused';
    this.hashes.set(name, hash);
    try {
      await endTokens();
    } catch (error) {
      // Unless it was changed again meanwhile, by someone who knew the new one.
      if (this.hashes.get(name) === hash) this.hashes.set(name, old);
      throw error;
    }
    return 'changed';
  }

  /** Forgets what a user made of the account: the users of a demo grow back as they were. */
  reset(name: string): void {
    const seeded = this.#seeded.get(name);
    if (seeded !== undefined) this.hashes.set(name, seeded);
  }
}
