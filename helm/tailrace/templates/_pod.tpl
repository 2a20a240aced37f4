{{- define "tailrace.podTemplate" -}}
{{- $state := include "tailrace.stateType" . }}
{{- $user := include "tailrace.user" . | int64 }}
{{- $isAgent := eq .Values.kind "DaemonSet" }}
{{- $byCapability := and $isAgent (eq .Values.logs.access "capability") }}
{{- $needsToken := include "tailrace.rules" . | fromJsonArray | empty | not -}}
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: tailrace
    {{- /* What only a restart takes up is in the service section; the rest the agents see themselves. */}}
    {{- $watched := ternary (contains "hot_reload.watch" .Values.config.text) .Values.hotReload.enabled (not (empty .Values.config.text)) }}
    {{- if .Values.config.existingConfigMap }}
    {{- else if not $watched }}
    checksum/config: {{ include "tailrace.configText" . | sha256sum }}
    {{- else if not .Values.config.text }}
    checksum/service: {{ include "tailrace.service" . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "tailrace.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tailrace.serviceAccountName" . }}
  automountServiceAccountToken: {{ $needsToken }}
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ int64 .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: {{ not $byCapability }}
    runAsUser: {{ $user }}
    runAsGroup: {{ $user }}
    {{- if and $isAgent (not $byCapability) }}
    supplementalGroups: {{ .Values.logs.groups | toJson }}
    {{- end }}
    {{- if or (eq $state "emptyDir") (eq $state "persistentVolumeClaim") }}
    fsGroup: {{ $user }}
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
    {{- with .Values.seLinuxOptions }}
    seLinuxOptions:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- if and (eq $state "hostPath") .Values.state.prepare (not $byCapability) }}
  initContainers:
    # The kubelet makes the folder for root. This gives it to the agent's user, with the one capability that this takes.
    - name: state
      image: {{ include "tailrace.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command:
        - node
        - -e
        - |
          const fs = require('node:fs');
          if (fs.statSync('/state').uid !== {{ $user }}) {
            fs.chmodSync('/state', 0o700);
            fs.chownSync('/state', {{ $user }}, {{ $user }});
          }
      securityContext:
        runAsNonRoot: false
        runAsUser: 0
        runAsGroup: 0
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
          add: [CHOWN]
      resources:
        requests:
          cpu: 10m
          memory: 64Mi
        limits:
          memory: 128Mi
      volumeMounts:
        - name: state
          mountPath: /state
  {{- end }}
  containers:
    - name: tailrace
      image: {{ include "tailrace.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - run
        - -c
        - /etc/tailrace/tailrace.yaml
        - --http
        - --listen
        - $(POD_IP)
        - --port
        - {{ .Values.port | int64 | quote }}
        - --state-path
        - {{ ternary "off" "/var/lib/tailrace" (eq $state "none") | quote }}
      env:
        - name: NODE_NAME
          valueFrom:
            fieldRef:
              fieldPath: spec.nodeName
        - name: NODE_IP
          valueFrom:
            fieldRef:
              fieldPath: status.hostIP
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: POD_NAMESPACE
          valueFrom:
            fieldRef:
              fieldPath: metadata.namespace
        - name: POD_IP
          valueFrom:
            fieldRef:
              fieldPath: status.podIP
        {{- range $name, $secret := .Values.secretEnv }}
        - name: {{ $name }}
          valueFrom:
            secretKeyRef:
              {{- toYaml $secret | nindent 14 }}
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http-metrics
          containerPort: {{ int64 .Values.port }}
          protocol: TCP
        {{- range .Values.ports }}
        - name: {{ .name }}
          containerPort: {{ int64 .port }}
          protocol: {{ .protocol | default "TCP" }}
        {{- end }}
      {{- $health := dict "httpGet" (dict "path" "/health" "port" "http-metrics") }}
      {{- $ready := dict "httpGet" (dict "path" "/ready" "port" "http-metrics") }}
      startupProbe:
        {{- mergeOverwrite (deepCopy $health) (dict "periodSeconds" 2 "failureThreshold" 60 "timeoutSeconds" 5) (deepCopy .Values.probes.startup) | toYaml | nindent 8 }}
      livenessProbe:
        {{- mergeOverwrite (deepCopy $health) (dict "periodSeconds" 20 "failureThreshold" 3 "timeoutSeconds" 10) (deepCopy .Values.probes.liveness) | toYaml | nindent 8 }}
      readinessProbe:
        {{- mergeOverwrite $ready (dict "periodSeconds" 10 "failureThreshold" 3 "timeoutSeconds" 10) (deepCopy .Values.probes.readiness) | toYaml | nindent 8 }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
          {{- if $byCapability }}
          add: [DAC_READ_SEARCH]
          {{- end }}
      volumeMounts:
        # A folder, not a subPath: that would never change.
        - name: config
          mountPath: /etc/tailrace
          readOnly: true
        {{- if ne $state "none" }}
        - name: state
          mountPath: /var/lib/tailrace
        {{- end }}
        {{- if $isAgent }}
        {{- range $index, $path := .Values.logs.paths }}
        - name: logs-{{ $index }}
          mountPath: {{ $path }}
          readOnly: true
        {{- end }}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "tailrace.configMapName" . }}
    {{- if eq $state "hostPath" }}
    - name: state
      hostPath:
        path: {{ include "tailrace.stateHostPath" . }}
        type: DirectoryOrCreate
    {{- else if eq $state "emptyDir" }}
    - name: state
      emptyDir:
        {{- with .Values.state.sizeLimit }}
        sizeLimit: {{ . }}
        {{- end }}
    {{- else if eq $state "persistentVolumeClaim" }}
    - name: state
      persistentVolumeClaim:
        claimName: {{ required "state.claimName names the PersistentVolumeClaim of state.type persistentVolumeClaim" .Values.state.claimName }}
    {{- end }}
    {{- if $isAgent }}
    {{- range $index, $path := .Values.logs.paths }}
    - name: logs-{{ $index }}
      hostPath:
        path: {{ $path }}
    {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $tolerations := .Values.tolerations }}
  {{- if and $isAgent .Values.everyNode }}
  {{- $tolerations = prepend $tolerations (dict "operator" "Exists") }}
  {{- end }}
  {{- with $tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if not $isAgent }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "tailrace.selectorLabels" . | nindent 10 }}
  {{- end }}
{{- end }}
