/**
 * Decorators that write what those of @nestjs/websockets 12.1 and @nestjs/graphql 14.0 write, read
 * from their sources: the packages are no dependency of this one.
 */

function onMethod(entries: Readonly<Record<string, unknown>>): MethodDecorator {
  return (_, __, descriptor) => {
    for (const [key, value] of Object.entries(entries)) {
      Reflect.defineMetadata(key, value, descriptor.value as object);
    }
  };
}

function onClass(entries: Readonly<Record<string, unknown>>): ClassDecorator {
  return (target) => {
    for (const [key, value] of Object.entries(entries)) Reflect.defineMetadata(key, value, target);
  };
}

export const WebSocketGateway = (): ClassDecorator =>
  onClass({ 'websockets:is_gateway': true, port: 0, 'websockets:gateway_options': {} });

export const SubscribeMessage = (message: unknown): MethodDecorator =>
  onMethod({ 'websockets:message_mapping': true, message });

export const Resolver = (name?: string): ClassDecorator =>
  onClass({ 'graphql:resolver_type': name, 'graphql:resolver_name': name });

const operation = (kind: string, name?: string): MethodDecorator =>
  onMethod({ 'graphql:resolver_type': kind, 'graphql:resolver_name': name });

export const Query = (name?: string): MethodDecorator => operation('Query', name);

export const Mutation = (name?: string): MethodDecorator => operation('Mutation', name);

export const Subscription = (name?: string): MethodDecorator => operation('Subscription', name);

export const ResolveField = (name?: string): MethodDecorator =>
  onMethod({
    'graphql:resolver_name': name,
    'graphql:resolve_property': true,
    'graphql:field_resolver_middleware': undefined,
  });

export const ResolveReference = (): MethodDecorator =>
  onMethod({ 'graphql:resolve_reference': true });
