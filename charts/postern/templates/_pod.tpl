{{/* What the pods of this chart have in common. */}}

{{/* A reference to an image: by digest if there is one, else by tag. Takes (dict "root" $ "image" .Values.image). */}}
{{- define "postern.image" -}}
{{- with .image.registry }}{{ . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest -}}
@{{ .image.digest }}
{{- else -}}
:{{ default .root.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end -}}

{{/* The port of an address like [::]:8080. */}}
{{- define "postern.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}

{{/* Arguments of both roles. Those of the sidecar must be alike, since they decide which pods are outdated. */}}
{{- define "postern.args" -}}
- --log-level={{ .Values.logLevel }}
- --log-format={{ .Values.logFormat }}
- --admin-address={{ .Values.adminAddress }}
{{- range .Values.rbac.watchNamespaces }}
- --watch-namespace={{ . }}
{{- end }}
{{- with .Values.sidecar }}
- --sidecar-image={{ include "postern.image" (dict "root" $ "image" .image) }}
- --sidecar-image-pull-policy={{ .image.pullPolicy }}
- --sidecar-cpu-request={{ .cpuRequest }}
- --sidecar-cpu-limit={{ .cpuLimit }}
- --sidecar-memory-request={{ .memoryRequest }}
- --sidecar-memory-limit={{ .memoryLimit }}
- --sidecar-max-cpu={{ .maxCpu }}
- --sidecar-max-memory={{ .maxMemory }}
- --sidecar-log-level={{ .logLevel }}
{{- end }}
{{- end -}}

{{/* Who and where the pod is, and what the user adds. Takes the component's values. */}}
{{- define "postern.env" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.namespace
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "postern.probes" -}}
startupProbe:
  httpGet:
    path: /livez
    port: admin
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet:
    path: /readyz
    port: admin
  periodSeconds: 5
livenessProbe:
  httpGet:
    path: /livez
    port: admin
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{/* Labels and annotations of a component's pods. Takes (dict "root" $ "component" "webhook" "values" .Values.webhook). */}}
{{- define "postern.podMetadata" -}}
labels:
  {{- $selector := include "postern.selectorLabels" . | fromYaml }}
  {{- toYaml (merge $selector .values.podLabels .root.Values.commonLabels) | nindent 2 }}
{{- with .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a component's pods run. Takes (dict "root" $ "component" "webhook" "values" .Values.webhook). */}}
{{- define "postern.scheduling" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $own := dict "labelSelector" (dict "matchLabels" (include "postern.selectorLabels" $ | fromYaml)) }}
  {{- range . }}
  - {{ merge (deepCopy .) $own | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}
