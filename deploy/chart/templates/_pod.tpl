{{/*
The pod of a role, from a dict of the root and the role. It holds its own role's secrets and no other.
*/}}
{{- define "stanch.pod" -}}
{{- $root := .root }}
{{- $role := .role }}
{{- $split := ne $role "all" }}
{{- $values := index $root.Values.roles $role }}
metadata:
  labels:
    {{- include "stanch.selector" . | nindent 4 }}
    {{- with $root.Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # A changed configuration starts the pod again; one with a fault is refused before that, by the init container.
    checksum/config: {{ include "stanch.config" $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "stanch.name" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 60 # requests under way have 16 seconds, and then the store is closed
  securityContext: {{- include "stanch.podSecurity" . | nindent 4 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $split }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "stanch.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  initContainers:
    - name: check-config
      {{- include "stanch.container" . | nindent 6 }}
      args: [check-config, /etc/stanch/stanch.yaml{{ if $split }}, --role, {{ $role }}{{ end }}]
      volumeMounts:
        - {name: config, mountPath: /etc/stanch/stanch.yaml, subPath: stanch.yaml, readOnly: true}
        - {name: secrets, mountPath: /etc/stanch/secrets, readOnly: true}
        {{- if $split }}
        - {name: nats, mountPath: /etc/stanch/nats, readOnly: true}
        {{- end }}
  containers:
    - name: stanch
      {{- include "stanch.container" . | nindent 6 }}
      args: [serve, --config.file, /etc/stanch/stanch.yaml{{ if $split }}, --role, {{ $role }}{{ end }}]
      ports:
        {{- if has $role (list "all" "receiver") }}
        - {name: public, containerPort: 8080}
        {{- end }}
        - {name: private, containerPort: 9095}
      # Opening the store takes seconds when there are very many incidents, and longer on a slow disk.
      startupProbe:
        httpGet: {path: /-/ready, port: private}
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet: {path: /-/healthy, port: private}
        periodSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /-/ready, port: private}
        periodSeconds: 5
      volumeMounts:
        - {name: config, mountPath: /etc/stanch/stanch.yaml, subPath: stanch.yaml, readOnly: true}
        - {name: secrets, mountPath: /etc/stanch/secrets, readOnly: true}
        {{- if $split }}
        - {name: nats, mountPath: /etc/stanch/nats, readOnly: true}
        - {name: run, mountPath: /run/stanch}
        {{- if ne $role "notifier" }}
        - {name: keys, mountPath: /etc/stanch/keys, readOnly: true}
        {{- end }}
        {{- else }}
        - {name: store, mountPath: /var/lib/stanch}
        - {name: keys, mountPath: /var/lib/stanch-keys}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ $root.Release.Name }}}
    - name: secrets
      projected:
        defaultMode: 0440
        sources: {{- include "stanch.secrets" . | nindent 10 }}
    {{- if $split }}
    {{- include "stanch.natsVolume" . | nindent 4 }}
    {{- if ne $role "notifier" }}
    {{- include "stanch.keysVolume" . | nindent 4 }}
    {{- end }}
    - name: run # the unix socket
      emptyDir: {sizeLimit: 1Mi}
    {{- end }}
{{- end }}

{{- define "stanch.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
# Key files on a volume must be readable by their owner only, and are refused otherwise: the volumes' modes are set once, while
# they are empty, and never again. Those of a Secret are root's, and readable by our group.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "stanch.container" -}}
image: {{ include "stanch.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml (index .root.Values.roles .role).resources | nindent 2 }}
{{- end }}

{{/* The secrets that a role needs; where there is one role, every one. */}}
{{- define "stanch.secrets" -}}
{{- $mine := list }}
{{- range .root.Values.secrets }}
{{- if or (eq $.role "all") (has $.role (required (printf "secrets: which roles need %s?" .file) .roles)) }}
{{- $mine = append $mine (dict "secret" (dict "name" .secret "items" (list (dict "key" .key "path" .file)))) }}
{{- end }}
{{- end }}
{{- toYaml $mine }}
{{- end }}

{{/* What proves a role to the NATS cluster. */}}
{{- define "stanch.natsVolume" -}}
{{- $nats := .root.Values.nats }}
- name: nats
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ required (printf "nats.secrets.%s" .role) (index $nats.secrets .role) }}
          items: [{key: {{ $nats.credential }}, path: {{ $nats.credential }}}]
      {{- with $nats.ca.secret }}
      - secret: {name: {{ . }}, items: [{key: {{ $nats.ca.key }}, path: ca.pem}]}
      {{- end }}
{{- end }}

{{/* Keys: only the engine can open what is sealed. The others get these two files, even of a Secret that holds more. */}}
{{- define "stanch.keysVolume" -}}
- name: keys
  secret:
    defaultMode: 0440
    {{- if eq .role "engine" }}
    secretName: {{ required "keys.engine" .root.Values.keys.engine }}
    {{- else }}
    secretName: {{ required "keys.sealing" .root.Values.keys.sealing }}
    items: [{key: sealing.recipient, path: sealing.recipient}, {key: fingerprint.key, path: fingerprint.key}]
    {{- end }}
{{- end }}
