{{/* gateway.yaml: the settings of `config`, and those that the chart decides. */}}

{{- define "gateway.secretsFolder" -}}/etc/smart-gateway/secrets{{- end }}
{{- define "gateway.storeFolder" -}}/etc/smart-gateway/store{{- end }}

{{- define "gateway.config" -}}
{{- $secrets := include "gateway.secretsFolder" . }}
{{- $config := deepCopy .Values.config }}
{{- $_ := set $config "listen" (merge (dict "port" 8080) (default dict $config.listen)) }}
{{- $_ := set $config "metrics" (merge (dict "port" 9090) (default dict $config.metrics)) }}
{{- if eq .Values.configChange "restart" }}
{{- $reload := default dict $config.reload }}
{{- if not (hasKey $reload "watch_seconds") }}
{{- $_ := set $reload "watch_seconds" nil }}
{{- end }}
{{- $_ := set $config "reload" $reload }}
{{- end }}
{{- $_ := set $config "paging" (merge (dict "key_file" (printf "%s/paging-key" $secrets)) (default dict $config.paging)) }}
{{- with $config.audit }}
{{- if or .hash_patient .hash_typed_user }}
{{- $_ := set . "hash_key_file" (printf "%s/audit-hash-key" $secrets) }}
{{- end }}
{{- end }}
{{- if hasKey $config "smart_server" }}
{{- $server := default dict $config.smart_server }}
{{- if include "gateway.storeSecret" . }}
{{- $_ := set $server "store_file" (printf "%s/url" (include "gateway.storeFolder" .)) }}
{{- end }}
{{- if and .Values.redis.enabled (eq (int .Values.redis.replicas) 1) }}
{{- $_ := set $server "store_replicas" 0 }}
{{- end }}
{{- if and (not .Values.redis.enabled) .Values.externalRedis.caSecret }}
{{- $_ := set $server "store_ca_file" (printf "%s/ca.crt" (include "gateway.storeFolder" .)) }}
{{- end }}
{{- if .Values.keys.signingKey }}
{{- $_ := set $server "signing_key_file" (printf "%s/signing-key" $secrets) }}
{{- end }}
{{- if .Values.keys.adminToken }}
{{- $_ := set $server "admin_token_file" (printf "%s/admin-token" $secrets) }}
{{- end }}
{{- $_ := set $config "smart_server" $server }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* The settings whose change replaces the pods: all, or those that a running gateway cannot change. */}}
{{- define "gateway.settingsOfPods" -}}
{{- if eq .Values.configChange "restart" }}
{{- include "gateway.config" . }}
{{- else }}
{{- $config := include "gateway.config" . | fromYaml }}
smart_server: {{ hasKey $config "smart_server" }}
{{- range $name := list "public_base_url" "development" "listen.host" "listen.port" "listen.tls" "listen.client_certificates" "metrics" "admin.host" "admin.port" "admin.tls" "admin.recent_decisions_bytes" "shutdown" "upstream.base_url" "smart_server.issuer" "smart_server.store" "smart_server.store_ca_file" "smart_server.store_replicas" "audit" "reload" }}
{{- $value := $config }}
{{- range splitList "." $name }}
{{- $value = ternary (get (default dict $value) .) "" (kindIs "map" (default dict $value)) }}
{{- end }}
{{ $name }}: {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* The host names of the public URLs, as a list in JSON. */}}
{{- define "gateway.hosts" -}}
{{- $urls := list .Values.config.public_base_url }}
{{- with .Values.config.smart_server }}{{ with .issuer }}{{ $urls = append $urls . }}{{ end }}{{ end }}
{{- with .Values.config.app_state }}{{ with .base_url }}{{ $urls = append $urls . }}{{ end }}{{ end }}
{{- $hosts := list }}
{{- range $urls }}{{ $hosts = append $hosts (regexReplaceAll ":[0-9]+$" (urlParse .).host "") }}{{ end }}
{{- $hosts | uniq | toJson }}
{{- end }}

{{/* How long Kubernetes waits for the end: longer than the gateway takes at most. */}}
{{- define "gateway.gracePeriod" -}}
{{- $shutdown := default dict .Values.config.shutdown }}
{{- $drain := default 0 $shutdown.drain_seconds | ceil | int }}
{{- $finish := ternary $shutdown.finish_seconds 10 (hasKey $shutdown "finish_seconds") | ceil | int }}
{{- add .Values.shutdown.preStopSleepSeconds $drain $finish 10 }}
{{- end }}

{{/* The directory in which AuditEvents wait, mounted from a volume; empty where there are none. */}}
{{- define "gateway.auditFolder" -}}
{{- with .Values.config.audit }}{{ with .events }}{{ with .spool }}{{ dir . }}{{ end }}{{ end }}{{ end }}
{{- end }}

{{/* The base URL of the SMART server as a command in the gateway's own pod reaches it. */}}
{{- define "gateway.localIssuer" -}}
http://127.0.0.1:8080{{ with .Values.config.smart_server }}{{ with .issuer }}{{ (urlParse .).path }}{{ else }}/auth{{ end }}{{ else }}/auth{{ end }}
{{- end }}
