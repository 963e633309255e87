/** The HTTP platforms, each loaded only when asked for: loading is part of what boot measures. */
export const ADAPTERS = ['express', 'fastify'];

export async function newAdapter(name) {
  switch (name) {
    case 'express': {
      const { ExpressAdapter } = await import('@nestjs/platform-express');
      return new ExpressAdapter();
    }
    case 'fastify': {
      const { FastifyAdapter } = await import('@nestjs/platform-fastify');
      return new FastifyAdapter();
    }
    default:
      throw new TypeError(`unknown adapter ${name}`);
  }
}
