/** What connections to Kubernetes are made by, and a directory of pods: plain values, so that equal ones can share. */
import type { TlsSettings } from '../../../../src/plugin.ts';

export interface ApiSettings {
  host: string;
  port: number;
  /** Undefined for http://. */
  tls: TlsSettings | undefined;
  /** Undefined: no token is sent. */
  tokenFile: string | undefined;
  /** In place of the file. */
  tokenCommand: string | undefined;
  tokenTtlMs: number;
  userAgent: string;
}

export interface DirectorySettings {
  api: ApiSettings;
  /** To be asked for pods in place of the API server. */
  kubelet: ApiSettings | undefined;
  /** Whose pods are watched; undefined: pods are asked for one by one. */
  nodeName: string | undefined;
  podTtlMs: number;
  namespaceTtlMs: number;
}
