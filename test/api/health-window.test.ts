import { afterEach, describe, expect, it } from 'vitest';
import { HealthWindow } from '../../src/api/health-window.ts';

let health: HealthWindow;
afterEach(() => health.close());

describe('HealthWindow', () => {
  it('forgets errors that are older than a period', () => {
    const counts = { errors: 0, retriesFailed: 0 };
    health = new HealthWindow({ hcErrorsCount: 2, hcRetryFailureCount: 1, hcPeriod: 10 }, () => counts);
    const start = performance.now();
    counts.errors = 3;
    health.sample(start + 1000);
    expect(health.state()).toEqual({ healthy: false, errors: 3, retriesFailed: 0 });
    health.sample(start + 11_001);
    expect(health.state()).toEqual({ healthy: true, errors: 0, retriesFailed: 0 });
    counts.retriesFailed = 2;
    expect(health.state()).toEqual({ healthy: false, errors: 0, retriesFailed: 2 });
  });
});
