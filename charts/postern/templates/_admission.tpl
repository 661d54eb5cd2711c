{{/* Parts of the admission policies. What is in CEL here is put into several expressions. */}}

{{/* The namespaces that bundles are written to, as matchConstraints have it. Those that the webhook excludes are among them: a bundle may be there, and no pod may have it. */}}
{{- define "postern.admission.namespaces" -}}
matchPolicy: Equivalent
{{- with .Values.rbac.watchNamespaces }}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values:
        {{- toYaml . | nindent 8 }}
{{- else }}
namespaceSelector: {}
{{- end }}
objectSelector: {}
{{- end -}}

{{/* The binding that puts a policy in force. Takes (dict "root" $ "name" "bundles"), and "params" for what paramRef selects. */}}
{{- define "postern.admission.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ include "postern.fullname" .root }}-{{ .name }}
  labels:
    {{- include "postern.labels" (dict "root" .root "component" "admission") | nindent 4 }}
spec:
  policyName: {{ include "postern.fullname" .root }}-{{ .name }}
  validationActions: [Deny]
  {{- with .params }}
  paramRef:
    selector:
      {{- toYaml . | nindent 6 }}
    parameterNotFoundAction: Allow
  {{- end }}
{{- end -}}

{{/* CEL: whether the request is of somebody who may look into sidecars. */}}
{{- define "postern.admission.debugger" -}}
{{- with include "postern.admission.group" . -}}
(has(request.userInfo.groups) && '{{ . }}' in request.userInfo.groups)
{{- else -}}
false
{{- end -}}
{{- end -}}

{{/* In words, who may. */}}
{{- define "postern.admission.debuggers" -}}
{{- with include "postern.admission.group" . -}}
for members of the group {{ . }} (admissionPolicies.debuggers)
{{- else -}}
for nobody (admissionPolicies.debuggers)
{{- end -}}
{{- end -}}

{{/* CEL: whether the pod has a sidecar. Volumes cannot change after creation, and policy "bundles" keeps this one's name for the sidecar's. Takes the pod. */}}
{{- define "postern.admission.hasSidecar" -}}
{{ . }}.spec.?volumes.orValue([]).exists(v, v.name == 'postern-bundle')
{{- end -}}

{{/* CEL: whether container `c` has a variable from a Secret that is named like a bundle. */}}
{{- define "postern.admission.environment" -}}
(c.?env.orValue([]).exists(e, e.?valueFrom.?secretKeyRef.?name.orValue('').startsWith('postern-'))
  || c.?envFrom.orValue([]).exists(e, e.?secretRef.?name.orValue('').startsWith('postern-')))
{{- end -}}

{{/*
  CEL: whether volume `v` names a Secret that is named like a bundle, in any of the places that a volume has for it. A test compares them with those that
  the API server publishes. Image pull secrets are not among the places: of those the kubelet reads two types, which a bundle does not have, and no
  container sees them.
*/}}
{{- define "postern.admission.volume" -}}
([
  v.?secret.?secretName, v.?azureFile.?secretName, v.?csi.?nodePublishSecretRef.?name, v.?cephfs.?secretRef.?name,
  v.?cinder.?secretRef.?name, v.?flexVolume.?secretRef.?name, v.?iscsi.?secretRef.?name, v.?rbd.?secretRef.?name,
  v.?scaleIO.?secretRef.?name, v.?storageos.?secretRef.?name
].exists(name, name.orValue('').startsWith('postern-'))
  || v.?projected.?sources.orValue([]).exists(s, s.?secret.?name.orValue('').startsWith('postern-')))
{{- end -}}
