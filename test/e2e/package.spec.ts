import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';

import { closeConnections, send } from '../support/http.js';
import { runProcess, startProcess } from '../support/processes.js';
import { recordSecret } from '../support/witness.js';
import { compileFixture, FORMATS, installApp, packLibrary } from './app-folder.js';

/** What the registry would get, and what it becomes in an application that adds nothing to it. */

const NEST_MAJORS = [11, 12] as const;
const root = mkdtempSync(join(tmpdir(), 'nest-jwt-hardening-package-'));
const folderOf = (nest: number): string => join(root, `nest-${nest}`);
const PACKAGE = ['node_modules', 'nest-jwt-hardening'];

beforeAll(async () => {
  const tarball = await packLibrary(root);
  await Promise.all(
    NEST_MAJORS.map(async (nest) => {
      // As in the README: peers that are not optional come from npm, `@nestjs/config` does not.
      const folder = await installApp(folderOf(nest), [
        '--strict-peer-deps',
        tarball,
        `@nestjs/common@${nest}`,
        `@nestjs/core@${nest}`,
        `@nestjs/platform-express@${nest}`,
        'reflect-metadata',
        'rxjs',
      ]);
      await Promise.all(FORMATS.map((format) => compileFixture('quick-start', folder, format)));
      await compileFixture('probes', folder, 'esm');
    }),
  );
});

afterAll(() => {
  closeConnections();
  rmSync(root, { recursive: true, force: true });
});

describe('the tarball', () => {
  function files(): readonly string[] {
    const folder = join(folderOf(12), ...PACKAGE);
    return (
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
        .map((path) => path.split(sep).join('/'))
        // What npm put beside it: its own versions of packages that the application has others of.
        .filter((path) => !path.startsWith('node_modules/'))
    );
  }

  it('holds dist and documents, and nothing else (STYLE 21)', () => {
    const expected =
      /^(?:dist\/[\w./-]+\.(?:js|d\.ts)|docs\/[\w./-]+\.md|package\.json|(?:README|CHANGELOG|SECURITY)\.md|LICENSE)$/;
    expect(files().filter((path) => !expected.test(path))).toEqual([]);
  });

  it('holds what a reader looks for first', () => {
    expect(files()).toEqual(
      expect.arrayContaining(['README.md', 'SECURITY.md', 'CHANGELOG.md', 'LICENSE']),
    );
  });

  it('says nothing about the machine that built it', () => {
    const checkout = join(__dirname, '..', '..');
    const telling = files().filter((path) =>
      readFileSync(join(folderOf(12), ...PACKAGE, path), 'utf8').includes(checkout),
    );
    expect(telling).toEqual([]);
  });
});

describe.each(NEST_MAJORS)('installed beside Nest %i', (nest) => {
  async function probe(name: string): Promise<string> {
    const cwd = join(folderOf(nest), 'probes-esm');
    const { exitCode, stdout, stderr } = await runProcess({ args: [`${name}.js`], cwd });
    expect([exitCode, stderr]).toEqual([0, '']);
    return stdout;
  }

  it('does not need @nestjs/config', () => {
    const installed = readdirSync(join(folderOf(nest), 'node_modules', '@nestjs'));
    expect(installed.toSorted()).toEqual(['common', 'core', 'platform-express', 'schedule']);
  });

  it('loads nothing that an application may not use', async () => {
    const loaded = (await probe('loaded-packages')).matchAll(
      /\/node_modules\/(?<name>(?:@[^/\n]+\/)?[^/\n]+)\//g,
    );
    const packages = new Set([...loaded].map((match) => match.groups?.['name']));
    expect(packages).toContain('nest-jwt-hardening');
    expect(packages).toContain('@nestjs/core');
    const optional = [...packages].filter((name) =>
      /^(?:@nestjs\/(?!common$|core$)|cron$|express$|fastify$|ioredis$|helmet$|@opentelemetry\/)/.test(
        name ?? '',
      ),
    );
    expect(optional).toEqual([]);
  });

  it('gives import and require the same classes, and its insides to nobody', async () => {
    const { names, same, refused } = JSON.parse(await probe('exports')) as {
      readonly names: readonly string[];
      readonly same: readonly string[];
      readonly refused: readonly string[];
    };
    expect(names).toContain('JwtHardeningModule');
    expect(same).toEqual(names);
    expect(new Set(refused)).toEqual(new Set(['ERR_PACKAGE_PATH_NOT_EXPORTED']));
  });

  it.each(FORMATS)('protects the smallest app there is, as %s', async (format) => {
    const app = await startProcess({
      args: ['main.js'],
      cwd: join(folderOf(nest), `quick-start-${format}`),
      env: { NO_COLOR: '1' },
      readyWhen: /listening on (http:\S+)/,
    });
    const url = app.match[1] ?? '';
    const issued = await send(url, '/tokens', { method: 'POST', handsOutTokens: 'yes' });
    const { access_token: token } = JSON.parse(issued.body) as { readonly access_token: string };
    recordSecret(token);
    expect((await send(url, '/me')).status).toBe(401);
    expect(JSON.parse((await send(url, '/me', { token })).body)).toEqual({
      reached: 'me',
      subject: 'alice',
    });
    expect(await app.stop()).toBe(0);
    expect(app.output('stderr')).toBe('');
  });
});
