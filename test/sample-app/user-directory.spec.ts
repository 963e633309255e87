import { performance } from 'node:perf_hooks';

import { UserDirectory } from '../../sample-app/users/user-directory.js';

describe('the user directory of the sample app', () => {
  let users: UserDirectory;
  beforeAll(async () => {
    users = await UserDirectory.open();
  });

  it.each(['alice', 'bob', 'carol', 'admin'])(
    'knows %s by the password of the demo',
    async (name) => {
      await expect(users.authenticate(name, `${name}-demo`)).resolves.toMatchObject({ name });
    },
  );

  it.each([
    ['another user’s password', 'alice', 'bob-demo'],
    ['the password with a space', 'alice', 'alice-demo '],
    ['another spelling of the name', 'Alice', 'alice-demo'],
    ['an unknown name', 'mallory', 'mallory-demo'],
    ['a name every object has', '__proto__', 'alice-demo'],
  ])('refuses %s', async (_case, name, password) => {
    await expect(users.authenticate(name, password)).resolves.toBeUndefined();
  });

  it('keeps no password in clear', () => {
    expect(JSON.stringify(users)).not.toContain('-demo');
  });

  it('works as hard for an unknown name as for a wrong password (user enumeration by time)', async () => {
    const timesOf = { known: [] as number[], unknown: [] as number[] };
    for (let round = 0; round < 3; round++) {
      for (const [kind, name] of [
        ['known', 'alice'],
        ['unknown', 'mallory'],
      ] as const) {
        const start = performance.now();
        await users.authenticate(name, 'wrong');
        timesOf[kind].push(performance.now() - start);
      }
    }
    // Without the work an unknown name takes a thousandth; the machine's noise is not what this tests.
    expect(Math.min(...timesOf.unknown)).toBeGreaterThan(Math.min(...timesOf.known) / 3);
  });
});
