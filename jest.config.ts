/** @jest-config-loader esbuild-register */
import type { Config } from 'jest';

// Jest runs in CommonJS mode: its ESM mode cannot load a CommonJS package that requires Nest 12
// (@nestjs/throttler, fastify's light-my-request). So SWC turns our TypeScript and every ESM-only
// package below into CommonJS; what users install is tested by test/e2e, in real Node processes.
const ESM_ONLY_PACKAGES = [
  '@borewit',
  '@nestjs',
  '@tokenizer',
  'cookie',
  'file-type',
  'jose',
  'leven',
  'load-esm',
  'strtok3',
  'token-types',
  'uint8array-extras',
];

// Set by .ci/run, which adds the tests to its own steps in one last line.
const summaryFile = process.env['JEST_SUMMARY_FILE'];

const config: Config = {
  rootDir: '.',
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.spec.ts'],
  // Fixtures are whole apps with a package.json of their own: not modules of this project.
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/sample-app/dist/'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  setupFiles: ['reflect-metadata', '<rootDir>/test/support/witness-logger.ts'],
  // Only what hangs runs into it: that a machine is slow or stalls is no failure of a test.
  testTimeout: 300_000,
  testSequencer: '<rootDir>/.ci/longest-first.cjs',
  // Half of the suites wait for servers most of the time: two processors carry three of them.
  maxWorkers: 3,
  transform: {
    '^.+\\.[jt]s$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          keepClassNames: true,
        },
        module: { type: 'commonjs' },
      },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(?:.*/)?(?:${ESM_ONLY_PACKAGES.join('|')})/)`],
  moduleNameMapper: {
    '^nest-jwt-hardening$': '<rootDir>/lib/index.ts',
    '^nest-jwt-hardening/config$': '<rootDir>/lib/config/namespace.ts',
    '^nest-jwt-hardening/redis$': '<rootDir>/lib/storage/redis/redis-storage.ts',
    '^nest-jwt-hardening/cache-manager$':
      '<rootDir>/lib/storage/cache-manager/cache-manager-storage.ts',
    '^nest-jwt-hardening/helmet$': '<rootDir>/lib/transport/api-headers.ts',
    '^nest-jwt-hardening/opentelemetry$': '<rootDir>/lib/metrics/health-metrics.ts',
    '^nest-jwt-hardening/pkcs11$': '<rootDir>/lib/pkcs11/pkcs11-vault.ts',
    '^nest-jwt-hardening/testing$': '<rootDir>/lib/testing/index.ts',
    '^nest-jwt-hardening/client$': '<rootDir>/lib/client/index.ts',
    '^(\\.{1,2}/.*)\\.js$': ['$1', '$1.js'],
  },
  reporters: summaryFile
    ? ['default', ['<rootDir>/.ci/jest-summary.cjs', { file: summaryFile }]]
    : ['default'],
};

export default config;
