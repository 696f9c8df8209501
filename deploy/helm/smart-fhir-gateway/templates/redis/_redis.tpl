{{/* Names of the chart's own Redis. */}}

{{- define "gateway.redis.name" -}}
{{ include "gateway.fullname" . }}-redis
{{- end }}

{{- define "gateway.redis.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: redis
{{- end }}

{{/* The end of the names of its pods in DNS. */}}
{{- define "gateway.redis.domain" -}}
{{ include "gateway.redis.name" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{- define "gateway.redis.image" -}}
{{- with .Values.redis.image }}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "gateway.redis.environment" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: NAME
  value: {{ include "gateway.redis.name" . }}
- name: DOMAIN
  value: {{ include "gateway.redis.domain" . }}
- name: REPLICAS
  value: {{ .Values.redis.replicas | quote }}
# redis-cli reads the password from this variable, so that no command line shows it.
- name: REDISCLI_AUTH
  valueFrom:
    secretKeyRef:
      name: {{ include "gateway.redis.name" . }}
      key: redis-password
{{- end }}
