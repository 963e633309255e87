/** What a user may do. */
export interface User {
  readonly name: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

/** The users of the demo. They are known to everyone who reads this, as the banner says. */
export const DEMO_USERS: readonly User[] = [
  { name: 'alice', roles: ['user'], scopes: ['accounts:read', 'transfers:write'] },
  { name: 'bob', roles: ['user'], scopes: ['accounts:read', 'transfers:write'] },
  { name: 'carol', roles: [], scopes: ['accounts:read'] },
  { name: 'admin', roles: ['admin'], scopes: [] },
];

export function demoPassword({ name }: User): string {
  return `${name}-demo`;
}
