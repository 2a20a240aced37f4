/**
 * Fluent Bit's health check: unhealthy when, within the last `hc_period` seconds, more deliveries failed or were given up than
 * their limits allow. Counters only grow, so it compares them with what they were one period ago.
 */

export interface HealthLimits {
  hcErrorsCount: number;
  hcRetryFailureCount: number;
  /** Seconds. */
  hcPeriod: number;
}

export interface HealthState {
  healthy: boolean;
  errors: number;
  retriesFailed: number;
}

interface Sample {
  at: number;
  errors: number;
  retriesFailed: number;
}

/** Samples kept per period: the window's edge is exact to a sixtieth of it. */
const SAMPLES = 60;

export class HealthWindow {
  private readonly limits: HealthLimits;
  private readonly count: () => { errors: number; retriesFailed: number };
  private readonly samples: Sample[] = [];
  private readonly timer: NodeJS.Timeout;

  constructor(limits: HealthLimits, count: () => { errors: number; retriesFailed: number }) {
    this.limits = limits;
    this.count = count;
    this.sample();
    const interval = Math.max(100, (limits.hcPeriod * 1000) / SAMPLES);
    this.timer = setInterval(() => this.sample(), interval).unref();
  }

  /** `now`: milliseconds of the monotonic clock. */
  sample(now = performance.now()): void {
    this.samples.push({ at: now, ...this.count() });
    // The newest sample that is a whole period old stays: it is what the counters are compared with.
    while (this.samples.length > 1 && now - (this.samples[1]?.at ?? now) >= this.limits.hcPeriod * 1000) {
      this.samples.shift();
    }
  }

  state(): HealthState {
    const now = this.count();
    const before = this.samples[0] ?? { errors: 0, retriesFailed: 0 };
    const errors = now.errors - before.errors;
    const retriesFailed = now.retriesFailed - before.retriesFailed;
    return {
      healthy: errors <= this.limits.hcErrorsCount && retriesFailed <= this.limits.hcRetryFailureCount,
      errors,
      retriesFailed,
    };
  }

  close(): void {
    clearInterval(this.timer);
  }
}
