{{- /* What the templates share: the objects of deploy/kustomize/base come with its labels, into the release's namespace. */ -}}

{{- define "isthmus.kustomization" -}}
{{ .Files.Get "kustomize/base/kustomization.yaml" }}
{{- end }}

{{- define "isthmus.labels" -}}
{{ (index (include "isthmus.kustomization" . | fromYaml).labels 0).pairs | toYaml }}
{{- end }}

{{- define "isthmus.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* The agent's settings by name: those of the base, then those of values. */ -}}
{{- define "isthmus.settings" -}}
{{- $settings := dict }}
{{- range (index (include "isthmus.kustomization" . | fromYaml).configMapGenerator 0).literals }}
{{- $_ := set $settings (splitn "=" 2 .)._0 (splitn "=" 2 .)._1 }}
{{- end }}
{{- $_ := set $settings "ISTHMUS_CGROUP" .Values.cgroup }}
{{- if .Values.apiServer.host }}
{{- $_ := set $settings "KUBERNETES_SERVICE_HOST" .Values.apiServer.host }}
{{- $_ := set $settings "KUBERNETES_SERVICE_PORT" (toString .Values.apiServer.port) }}
{{- end }}
{{- if ne .Values.logLevel "info" }}
{{- $_ := set $settings "ISTHMUS_LOG_LEVEL" .Values.logLevel }}
{{- end }}
{{- $port := int .Values.metrics.port }}
{{- if or .Values.metrics.expose (ne $port 10249) }}
{{- $_ := set $settings "ISTHMUS_METRICS_BIND_ADDRESS" (printf "%s:%d" (ternary "0.0.0.0" "127.0.0.1" .Values.metrics.expose) $port) }}
{{- end }}
{{- merge (dict) .Values.settings $settings | toYaml }}
{{- end }}

{{- /* Puts a component's patch of the agent's container and of the volumes into the pod, as kustomize does. */ -}}
{{- define "isthmus.patch" -}}
{{- $pod := index . 0 }}
{{- $patch := index . 1 }}
{{- $agent := index $pod.containers 0 }}
{{- $change := index $patch.containers 0 }}
{{- $_ := set $agent "securityContext" $change.securityContext }}
{{- $mounts := $change.volumeMounts }}
{{- $paths := list }}
{{- range $mounts }}
{{- $paths = append $paths .mountPath }}
{{- end }}
{{- range $agent.volumeMounts }}
{{- if not (has .mountPath $paths) }}
{{- $mounts = append $mounts . }}
{{- end }}
{{- end }}
{{- $_ := set $agent "volumeMounts" $mounts }}
{{- $_ := set $pod "volumes" (concat $patch.volumes $pod.volumes) }}
{{- end }}
