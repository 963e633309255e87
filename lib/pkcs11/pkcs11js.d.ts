// An optional peer with a native addon: not installed here, and its own types say less than the
// interfaces in cryptoki.ts. Whoever loads it takes it as `unknown`.
declare module 'pkcs11js';
