import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { SchedulerRegistry } from '@nestjs/schedule';

import { KeyRingService } from './key-ring.service.js';

/** The interval's name in the `SchedulerRegistry` of `@nestjs/schedule`. */
export const KEY_ROTATION_INTERVAL = 'nest-jwt-hardening:key-rotation';

/**
 * How often the stored ring is looked at. Short, because it is also what heals a notification that
 * was lost, a store that failed, and a machine that was suspended.
 */
const PERIOD_MS = 500;

/**
 * Moves keys through their phases on time, as an interval of `@nestjs/schedule`: in the registry of
 * the application when it imports `ScheduleModule`, so that operators see it there, else in one of
 * its own. (Importing `ScheduleModule` here would run every `@Cron` of the application twice.)
 */
@Injectable()
export class KeyRotationSchedule implements OnApplicationBootstrap, OnModuleDestroy {
  #registry: SchedulerRegistry | undefined;

  constructor(
    private readonly keyRing: KeyRingService,
    private readonly discovery: DiscoveryService,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (!this.keyRing.rotates) return;
    const schedule = await import('@nestjs/schedule');
    this.#registry = this.#findRegistry(schedule.SchedulerRegistry);
    if (this.#registry.doesExist('interval', KEY_ROTATION_INTERVAL)) return;
    const interval = setInterval(() => this.keyRing.refreshAside(), PERIOD_MS).unref();
    this.#registry.addInterval(KEY_ROTATION_INTERVAL, interval);
    // What was heard of the store before other modules took their time is old by now.
    this.keyRing.refreshAside();
  }

  onModuleDestroy(): void {
    if (this.#registry?.doesExist('interval', KEY_ROTATION_INTERVAL) === true) {
      this.#registry.deleteInterval(KEY_ROTATION_INTERVAL);
    }
  }

  #findRegistry(token: typeof SchedulerRegistry): SchedulerRegistry {
    const provider = this.discovery.getProviders().find((wrapper) => wrapper.token === token);
    return (provider?.instance as SchedulerRegistry | undefined) ?? new token();
  }
}
