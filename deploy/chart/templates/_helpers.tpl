{{/* Whether each role is in processes of its own, which is so when the store is a NATS cluster; empty: it is not. */}}
{{- define "stanch.split" -}}
{{- with .Values.config.store }}{{ if .nats }}yes{{ end }}{{ end }}
{{- end }}

{{/* The roles that run, separated by commas: those that have replicas, or the one that is all of them. */}}
{{- define "stanch.roles" -}}
{{- if include "stanch.split" . -}}
{{- $roles := list -}}
{{- range list "receiver" "collector" "engine" "notifier" -}}
{{- if (index $.Values.roles .).replicas }}{{ $roles = append $roles . }}{{ end -}}
{{- end -}}
{{- join "," $roles -}}
{{- else -}}
all
{{- end -}}
{{- end }}

{{/*
What follows takes a dict of the root and a role. One process of all roles goes by the release's name alone, as its volumes
do. The labels by which pods are found never change.
*/}}
{{- define "stanch.name" -}}
{{ .root.Release.Name }}{{ if ne .role "all" }}-{{ .role }}{{ end }}
{{- end }}

{{- define "stanch.selector" -}}
app.kubernetes.io/name: stanch
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- if not (has .role (list "all" "")) }}
app.kubernetes.io/component: {{ .role }}
{{- end }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "stanch.labels" -}}
{{ include "stanch.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
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
{{- $own := dict "web" $web }}
{{- if include "stanch.split" . }}
{{- $nats := dict "dir" "/run/stanch" (printf "%s_file" .Values.nats.credential) (printf "/etc/stanch/nats/%s" .Values.nats.credential) }}
{{- if .Values.nats.ca.secret }}{{ $_ := set $nats "ca_file" "/etc/stanch/nats/ca.pem" }}{{ end }}
{{- $_ := set $own "store" (dict "nats" $nats) }}
{{- $_ := set $own "keys_dir" "/etc/stanch/keys" }}
{{- else }}
{{- $_ := set $own "store" (dict "embedded" (dict "dir" "/var/lib/stanch/store")) }}
{{- $_ := set $own "keys_dir" "/var/lib/stanch-keys/keys" }}
{{- end }}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) }}
{{- end }}
