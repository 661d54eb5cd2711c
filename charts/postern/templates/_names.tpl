{{/* Names and labels. */}}

{{- define "postern.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for the longest suffix of a name that is a DNS label: "-controller". */}}
{{- define "postern.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What Deployments, Services, budgets and policies select by: it can never change. Takes (dict "root" $ "component" "webhook"). */}}
{{- define "postern.selectorLabels" -}}
app.kubernetes.io/name: {{ include "postern.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of every object. Takes (dict "root" $ "component" "webhook"); without a component, of what belongs to none. */}}
{{- define "postern.labels" -}}
{{- $labels := dict
  "app.kubernetes.io/name" (include "postern.name" .root)
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/managed-by" .root.Release.Service
  "app.kubernetes.io/part-of" "postern"
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- with .component }}{{ $_ := set $labels "app.kubernetes.io/component" . }}{{ end -}}
{{- merge $labels .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "postern.controller.serviceAccount" -}}
{{- default (printf "%s-controller" (include "postern.fullname" .)) .Values.controller.serviceAccount.name -}}
{{- end -}}

{{- define "postern.webhook.serviceAccount" -}}
{{- default (printf "%s-webhook" (include "postern.fullname" .)) .Values.webhook.serviceAccount.name -}}
{{- end -}}

{{/* Namespaces whose pods are never injected, as a JSON list. The release's own is among them: a webhook that had to admit itself could not start. */}}
{{- define "postern.excludedNamespaces" -}}
{{- concat (list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace) .Values.webhook.excludeNamespaces | uniq | toJson -}}
{{- end -}}
