/** Which AWS region an output is for. */

/**
 * The region: as configured, else of the environment (AWS_REGION, AWS_DEFAULT_REGION), else of the profile in ~/.aws/config. Throws a
 * sentence that says what to do when there is none.
 */
export async function findRegion(
  configured: string | undefined,
  profile: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const known = configured || environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'];
  if (known !== undefined && known !== '') return known;
  const { loadSharedConfigFiles } = await import('@smithy/core/config');
  const { configFile, credentialsFile } = await loadSharedConfigFiles({ ignoreCache: true });
  const name = profile ?? (environment['AWS_PROFILE'] || 'default');
  const region = configFile[name]?.['region'] ?? credentialsFile[name]?.['region'];
  if (region !== undefined) return region;
  throw new Error(
    `There is no AWS region: set region, or AWS_REGION in the environment, or region for profile "${name}" in ~/.aws/config.`,
  );
}
