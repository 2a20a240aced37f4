{{/*
The service section as a map: what the chart needs, and what the values add. Address, port and state path are told on the command line,
so that a configuration as text has them too.
*/}}
{{- define "tailrace.service" -}}
{{- $service := dict "grace" (include "tailrace.grace" . | int) }}
{{- if .Values.hotReload.enabled }}
{{- $_ := set $service "hot_reload.watch" .Values.hotReload.interval }}
{{- end }}
{{- mergeOverwrite $service (deepCopy .Values.config.service) | toJson }}
{{- end }}

{{/* The values' one output, with what makes it of use without further options */}}
{{- define "tailrace.output" -}}
{{- $output := deepCopy .Values.output }}
{{- if not (or (hasKey $output "match") (hasKey $output "match_regex")) }}
{{- $_ := set $output "match" "*" }}
{{- end }}
{{- if and (eq $output.name "loki") (eq .Values.kind "DaemonSet") (not (or (hasKey $output "labels") (hasKey $output "label_keys") (hasKey $output "label_map_path") (hasKey $output "auto_kubernetes_labels"))) }}
{{- $labels := list "job=tailrace" "namespace=$kubernetes['namespace_name']" "container=$kubernetes['container_name']" }}
{{- if .Values.clusterName }}
{{- $labels = append $labels "cluster=$cluster" }}
{{- end }}
{{- $_ := set $output "labels" $labels }}
{{- /* Too many values for a label. */}}
{{- if not (or (hasKey $output "structured_metadata") (hasKey $output "structured_metadata_map_keys")) }}
{{- $_ := set $output "structured_metadata" (list "pod=$kubernetes['pod_name']") }}
{{- end }}
{{- end }}
{{- $output | toJson }}
{{- end }}

{{/* The whole configuration: JSON, which is YAML, so that no number and no text changes on its way */}}
{{- define "tailrace.config" -}}
{{- $pipeline := dict }}
{{- if .Values.config.inputs }}
{{- $_ := set $pipeline "inputs" .Values.config.inputs }}
{{- else if eq .Values.kind "DaemonSet" }}
{{- $input := dict "name" "kubernetes_logs" }}
{{- if and .Values.logs.excludeOwn (not (hasKey .Values.logs.options "exclude_path")) }}
{{- $_ := set $input "exclude_path" (printf "/var/log/containers/%s-*_%s_*.log" (include "tailrace.fullname" .) .Release.Namespace) }}
{{- end }}
{{- $_ := set $pipeline "inputs" (list (mergeOverwrite $input (deepCopy .Values.logs.options))) }}
{{- else }}
{{- fail "\n\nA Deployment has no logs to read: set config.inputs to what it should listen on, and ports to the same ports." }}
{{- end }}
{{- $filters := list }}
{{- if .Values.clusterName }}
{{- $filters = append $filters (dict "name" "record_modifier" "match" "*" "record" (printf "cluster %s" .Values.clusterName)) }}
{{- end }}
{{- $filters = concat $filters .Values.config.filters }}
{{- if $filters }}
{{- $_ := set $pipeline "filters" $filters }}
{{- end }}
{{- $outputs := .Values.config.outputs }}
{{- if .Values.output }}
{{- $outputs = prepend $outputs (include "tailrace.output" . | fromJson) }}
{{- end }}
{{- if not $outputs }}
{{- fail "\n\nWhere should the records go? Set output.name and output.host, such as --set output.name=loki --set output.host=loki.logging" }}
{{- end }}
{{- $_ := set $pipeline "outputs" $outputs }}
{{- $config := dict "service" (include "tailrace.service" . | fromJson) "pipeline" $pipeline }}
{{- range $key := list "env" "parsers" "multiline_parsers" }}
{{- with index $.Values.config $key }}
{{- $_ := set $config $key . }}
{{- end }}
{{- end }}
{{- $config | toPrettyJson }}
{{- end }}

{{/* What goes into the ConfigMap */}}
{{- define "tailrace.configText" -}}
{{- if .Values.config.text }}
{{- .Values.config.text }}
{{- else }}
{{- include "tailrace.config" . }}
{{- end }}
{{- end }}
