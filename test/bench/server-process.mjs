/** One server under test: `node server-process.mjs <adapter> <variant>`, the keys come by message. */
import 'reflect-metadata';

import { once } from 'node:events';

import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

import { newAdapter } from './adapters.mjs';
import { VARIANTS } from './variants.mjs';

const [adapter, variant] = process.argv.slice(2);
const [identity] = await once(process, 'message');
const { decorators = [], ...module } = await VARIANTS[variant](identity);

class BenchController {
  read() {
    return { status: 'ok' };
  }
}
const method = Object.getOwnPropertyDescriptor(BenchController.prototype, 'read');
for (const decorate of [Get(), ...decorators]) decorate(BenchController.prototype, 'read', method);
Controller('bench')(BenchController);
const metadata = { controllers: [BenchController], ...module };

function BenchModule() {}
Module(metadata)(BenchModule);

const app = await NestFactory.create(BenchModule, await newAdapter(adapter), { logger: false });
await app.listen(0, '127.0.0.1');
// A parent that is gone must not leave servers behind.
process.on('disconnect', () => process.exit());
process.send({ port: app.getHttpServer().address().port });
