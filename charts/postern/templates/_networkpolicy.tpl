{{/* Both components read their objects from the API server and show metrics; the controller reads stores too. */}}

{{- define "postern.networkPolicy.metricsIngress" -}}
- ports:
    - port: admin
      protocol: TCP
  {{- with .Values.networkPolicy.metrics.from }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "postern.networkPolicy.egress" -}}
# The name server; 5353 is OpenShift's, behind the Service.
- ports:
    {{- range list 53 5353 }}
    - port: {{ . }}
      protocol: UDP
    - port: {{ . }}
      protocol: TCP
    {{- end }}
# The API server.
- ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
  {{- with .Values.networkPolicy.apiServer.cidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "postern.networkPolicy.stores" -}}
# Credential stores.
- ports:
    {{- range dig "stores" "ports" (list 443 8200) .Values.networkPolicy }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
  {{- with (.Values.networkPolicy.stores).cidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  {{- end }}
{{- end -}}
