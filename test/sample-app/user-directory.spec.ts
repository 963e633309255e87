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
      await expect(users.authenticate(name, `${name}-demo`)).resolves.toMatchObject({
        user: { name },
      });
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

  // Each has a user of its own to change: hashes are slow on purpose.
  describe('changing a password', () => {
    const newPassword = 'a-better-one';
    const endNothing = (): Promise<void> => Promise.resolve();

    it('lets in by the new one alone, from before the tokens are ended', async () => {
      const seen: unknown[] = [];
      const change = { password: 'bob-demo', newPassword };
      const verdict = await users.changePassword('bob', change, async () => {
        seen.push(await users.authenticate('bob', 'bob-demo'));
        seen.push(await users.authenticate('bob', newPassword));
      });
      expect(verdict).toBe('changed');
      expect(seen).toEqual([undefined, expect.objectContaining({ user: expect.any(Object) })]);
      await expect(users.authenticate('bob', 'bob-demo')).resolves.toBeUndefined();
    });

    it('stays with the old one when the tokens could not be ended, so that it can be asked again', async () => {
      const failure = new Error('the store is away');
      const change = { password: 'admin-demo', newPassword };
      const failing = users.changePassword('admin', change, () => Promise.reject(failure));
      await expect(failing).rejects.toBe(failure);
      await expect(users.authenticate('admin', newPassword)).resolves.toBeUndefined();
      await expect(users.changePassword('admin', change, endNothing)).resolves.toBe('changed');
    });

    it('lets one of two at a time win, ends tokens for that one alone, and stops a login under way', async () => {
      const [login, other] = await Promise.all([
        users.authenticate('carol', 'carol-demo'),
        users.authenticate('alice', 'alice-demo'),
      ]);
      expect([login?.stillHolds(), other?.stillHolds()]).toEqual([true, true]);
      let ended = 0;
      const attempt = (next: string): Promise<string> =>
        users.changePassword(
          'carol',
          { password: 'carol-demo', newPassword: next },
          async () => void ended++,
        );
      const verdicts = await Promise.all([attempt('the-first-one'), attempt('the-second-one')]);
      expect(verdicts.toSorted()).toEqual(['changed', 'refused']);
      expect(ended).toBe(1);
      expect([login?.stillHolds(), other?.stillHolds()]).toEqual([false, true]);
      const winner = verdicts[0] === 'changed' ? 'the-first-one' : 'the-second-one';
      await expect(users.authenticate('carol', winner)).resolves.toBeDefined();
    });

    it.each([
      ['a wrong password', 'alice', 'bob-demo'],
      ['an unknown user', 'mallory', 'mallory-demo'],
      ['a name every object has', '__proto__', 'alice-demo'],
    ])('refuses %s and ends nothing', async (_case, name, password) => {
      let ended = 0;
      const change = { password, newPassword };
      const verdict = await users.changePassword(name, change, async () => void ended++);
      expect([verdict, ended]).toEqual(['refused', 0]);
      await expect(users.authenticate(name, newPassword)).resolves.toBeUndefined();
    });
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
