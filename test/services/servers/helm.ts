/** helm, and what judges of what it renders: the schemas of many versions of Kubernetes, promtool, the Prometheus Operator's definitions. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { goDownload, goInstall, pythonEnvironment, run, unpackDebian } from '../support/tools.ts';

const HELM = '3.22.0';
const VALIDATE = '1.37.0';
const OPERATOR = '0.88.0';

export const helm: Service = {
  name: 'helm',
  version: HELM,
  recipe: `helm.sh/helm/v3/cmd/helm@v${HELM}`,
  install: (folder) => goInstall(folder, `helm.sh/helm/v3/cmd/helm@v${HELM}`),
};

export const kubernetesValidate: Service = {
  name: 'kubernetes-validate',
  version: VALIDATE,
  recipe: `kubernetes-validate==${VALIDATE}`,
  install: (folder) => pythonEnvironment(folder, [`kubernetes-validate==${VALIDATE}`]),
};

export const promtool: Service = {
  name: 'promtool',
  version: 'debian',
  recipe: 'prometheus',
  install: (folder) => unpackDebian(folder, ['prometheus']),
};

const DEFINITIONS = ['podmonitors', 'servicemonitors', 'prometheusrules'];

/** The custom resources that the chart has objects of, from the operator's own module. */
export const operatorDefinitions: Service = {
  name: 'prometheus-operator-crds',
  version: OPERATOR,
  recipe: `${OPERATOR} ${DEFINITIONS.join(' ')}`,
  async install(folder) {
    const module = await goDownload(`github.com/prometheus-operator/prometheus-operator@v${OPERATOR}`);
    mkdirSync(folder, { recursive: true });
    for (const name of DEFINITIONS)
      copyFileSync(
        join(module, 'jsonnet/prometheus-operator', `${name}-crd.json`),
        join(folder, `${name}.json`),
      );
  },
};

/** Files of {@link operatorDefinitions}. */
export function definitionFiles(): string[] {
  return DEFINITIONS.map((name) => join(installed(operatorDefinitions), `${name}.json`));
}

/** An object of Kubernetes, as far as tests look into it. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels: Record<string, string> };
  data?: Record<string, string>;
  spec?: Record<string, unknown>;
}

/** A command of helm; throws with what it said when it fails. */
export function runHelm(args: readonly string[]): Promise<string> {
  return run(join(installed(helm), 'helm'), args);
}

/** What `helm template` makes of a text of documents. */
export function manifests(rendered: string): Manifest[] {
  return parseAllDocuments(rendered)
    .map((document) => document.toJS() as Manifest | null)
    .filter((each) => each !== null);
}

/** What kubernetes-validate says of files for a version; throws when something is wrong with one. */
export async function validate(files: readonly string[], version: string): Promise<string> {
  return run(join(installed(kubernetesValidate), 'bin/python'), [
    '-m',
    'kubernetes_validate',
    '--strict',
    '-k',
    version,
    ...files,
  ]);
}

/** A command of promtool; throws with what it said when it fails. */
export function runPromtool(args: readonly string[]): Promise<string> {
  return run(join(installed(promtool), 'usr/bin/promtool'), args);
}
