{{/*
  Values that came after the first release of this chart. `helm upgrade --reuse-values` does not bring their defaults, so that each is read with its own:
  what is not there is as values.yaml has it. A test takes each of them away.
*/}}

{{/* Not empty if the admission policies are wanted. */}}
{{- define "postern.admission.enabled" -}}
{{- if dig "enabled" true (default dict .Values.admissionPolicies) }}true{{ end -}}
{{- end -}}

{{/* The group whose members may look into sidecars; empty if nobody may. */}}
{{- define "postern.admission.group" -}}
{{- dig "debuggers" "postern-debuggers" (default dict .Values.admissionPolicies) -}}
{{- end -}}

{{/* Not empty if CredentialStores are read. */}}
{{- define "postern.stores.enabled" -}}
{{- if dig "enabled" true (default dict .Values.stores) }}true{{ end -}}
{{- end -}}

{{/* The Secret with the tokens for events of stores; empty if nobody may tell any. */}}
{{- define "postern.events.secret" -}}
{{- if include "postern.stores.enabled" . }}{{ dig "events" "tokenSecret" "" (default dict .Values.stores) }}{{ end -}}
{{- end -}}

{{/* The key in it. */}}
{{- define "postern.events.key" -}}
{{- dig "events" "tokenKey" "token" (default dict .Values.stores) -}}
{{- end -}}

{{/* From how many refused calls a minute on there is an alert. */}}
{{- define "postern.alert.denialsPerMinute" -}}
{{- dig "prometheusRule" "thresholds" "denialsPerMinute" 30.0 (default dict .Values.metrics) -}}
{{- end -}}

{{/* From how many dollars an hour on there is an alert. */}}
{{- define "postern.alert.dollarsPerHour" -}}
{{- dig "prometheusRule" "thresholds" "dollarsPerHour" 0.0 (default dict .Values.metrics) -}}
{{- end -}}

{{/* Not empty if sidecars may fetch bundles. */}}
{{- define "postern.delivery.enabled" -}}
{{- if dig "enabled" true (default dict .Values.delivery) }}true{{ end -}}
{{- end -}}

{{/* Where bundles are served to them. */}}
{{- define "postern.delivery.listen" -}}
{{- dig "listen" "[::]:10251" (default dict .Values.delivery) -}}
{{- end -}}
