{{/* The labels by which the pods of a release are found; they never change. */}}
{{- define "stanch.selector" -}}
app.kubernetes.io/name: stanch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "stanch.labels" -}}
{{ include "stanch.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The image, by digest if there is one. */}}
{{- define "stanch.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* The configuration file: what the values say, with what is the chart's own affair. */}}
{{- define "stanch.config" -}}
{{- if not (and .Values.config.sources .Values.config.issuers) }}
{{- fail "config.sources and config.issuers each need an entry" }}
{{- end }}
{{- $web := dict "public" (dict "address" ":8080") "private" (dict "address" ":9095") }}
{{- if .Values.externalURL }}{{ $_ := set $web "external_url" .Values.externalURL }}{{ end }}
{{- $own := dict "store" (dict "embedded" (dict "dir" "/var/lib/stanch/store")) "keys_dir" "/var/lib/stanch-keys/keys" "web" $web }}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) }}
{{- end }}
