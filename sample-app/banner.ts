import { DEMO_USERS, demoPassword } from './users/demo-users.js';

/** What a newcomer needs first: who can log in, where everything is, two lines to paste. */
export function banner(url: string): string {
  const rows = DEMO_USERS.map((user) => [
    user.name,
    demoPassword(user),
    user.roles.join(' ') || '-',
    user.scopes.join(' ') || '-',
  ]);
  return [
    '',
    `  ledger is ready on ${url}`,
    '',
    ...table([['user', 'password', 'role', 'scope'], ...rows]),
    '',
    ...table([
      ['health', `${url}/health`],
      ['public keys', `${url}/.well-known/jwks.json`],
      ['for apps', `${url}/.well-known/oauth-authorization-server`],
    ]),
    '',
    '  Log in, then call with the token:',
    '',
    `  TOKEN=$(curl -s ${url}/auth/login -H 'Content-Type: application/json' \\`,
    `    -d '{"username":"alice","password":"alice-demo"}' \\`,
    `    | node -p 'JSON.parse(fs.readFileSync(0)).access_token')`,
    `  curl -s ${url}/me -H "Authorization: Bearer $TOKEN"`,
    '',
    '',
  ].join('\n');
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const width = (column: number): number =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(width(column))).join('   ')}`.trimEnd(),
  );
}
