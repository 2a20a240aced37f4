/** The straight line through measurements over time. */

export interface Trend {
  /** By least squares, per unit of time. */
  slope: number;
  /** Standard error of the slope, as if the measurements were independent. */
  error: number;
  min: number;
  max: number;
}

/** Least squares through points of [time, value]. */
export function trend(points: readonly (readonly [at: number, value: number])[]): Trend {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const values = points.map(([, value]) => value);
  const middle = mean(points.map(([at]) => at));
  const level = mean(values);
  let covariance = 0;
  let variance = 0;
  for (const [at, value] of points) {
    covariance += (at - middle) * (value - level);
    variance += (at - middle) ** 2;
  }
  const slope = covariance / variance;
  let squares = 0;
  for (const [at, value] of points) squares += (value - level - slope * (at - middle)) ** 2;
  return {
    slope,
    error: Math.sqrt(squares / (points.length - 2) / variance),
    min: Math.min(...values),
    max: Math.max(...values),
  };
}
