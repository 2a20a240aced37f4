{{- define "tailrace.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tailrace.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := include "tailrace.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tailrace.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tailrace.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tailrace.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tailrace.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: {{ ternary "agent" "aggregator" (eq .Values.kind "DaemonSet") }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tailrace.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tailrace.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "tailrace.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* hostPath, emptyDir, persistentVolumeClaim or none */}}
{{- define "tailrace.stateType" -}}
{{- .Values.state.type | default (ternary "hostPath" "none" (eq .Values.kind "DaemonSet")) }}
{{- end }}

{{- define "tailrace.stateHostPath" -}}
{{- .Values.state.hostPath | default (printf "/var/lib/tailrace/%s-%s" .Release.Namespace (include "tailrace.fullname" .)) }}
{{- end }}

{{- define "tailrace.configMapName" -}}
{{- .Values.config.existingConfigMap | default (include "tailrace.fullname" .) }}
{{- end }}

{{/* Uid and gid of the agent */}}
{{- define "tailrace.user" -}}
{{- if and (eq .Values.kind "DaemonSet") (eq .Values.logs.access "capability") }}0{{ else }}{{ int64 .Values.user }}{{ end }}
{{- end }}

{{/* The rules of its ClusterRole, as JSON; an empty list needs no token */}}
{{- define "tailrace.rules" -}}
{{- $rules := list }}
{{- if eq .Values.kind "DaemonSet" }}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "pods") "verbs" (list "get" "list" "watch")) }}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "namespaces") "verbs" (list "get")) }}
{{- end }}
{{- if .Values.rbac.events }}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "events") "verbs" (list "list" "watch")) }}
{{- end }}
{{- if .Values.rbac.kubelet }}
{{- /* nodes/proxy lets its holder run commands in every pod of the node; kubelets of these versions ask for nodes/pods instead. */}}
{{- $resource := ternary "nodes/pods" "nodes/proxy" (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) }}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list $resource) "verbs" (list "get")) }}
{{- end }}
{{- concat $rules .Values.rbac.rules | toJson }}
{{- end }}

{{/* Seconds that the agent gives itself to stop: five less than the kubelet gives it. */}}
{{- define "tailrace.grace" -}}
{{- max 1 (sub .Values.terminationGracePeriodSeconds 5) }}
{{- end }}
