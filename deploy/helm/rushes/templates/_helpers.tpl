{{- define "rushes.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rushes.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "rushes.selector" . }}
{{- end -}}

{{- define "rushes.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rushes.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "rushes.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "rushes.image" -}}
{{- if contains "@" .Values.image.repository -}}
{{- .Values.image.repository -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "rushes.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "rushes.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Everything that a process is told. Secrets are references, never values. */}}
{{- define "rushes.environment" -}}
- name: RUSHES_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ required "database.existingSecret: name the secret that holds RUSHES_DATABASE_URL" .Values.database.existingSecret }}
      key: {{ .Values.database.urlKey }}
- name: RUSHES_SECRET_KEYS
  valueFrom:
    secretKeyRef:
      name: {{ required "secretKeys.existingSecret: name the secret that holds RUSHES_SECRET_KEYS" .Values.secretKeys.existingSecret }}
      key: {{ .Values.secretKeys.key }}
- name: RUSHES_PUBLIC_URL
  value: {{ required "publicUrl: the address that clients use, such as https://video.example.com" .Values.publicUrl | quote }}
- name: RUSHES_MIGRATE_ON_START
  value: "false"
- name: RUSHES_LOG_FORMAT
  value: json
- name: RUSHES_DATA_DIR
  value: /data
- name: RUSHES_STORAGE_URL
  value: {{ required "storage.url: several pods share a bucket, such as s3://rushes" .Values.storage.url | quote }}
{{- with .Values.storage.endpointUrl }}
- name: RUSHES_STORAGE_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.storage.publicEndpointUrl }}
- name: RUSHES_STORAGE_PUBLIC_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.storage.region }}
- name: RUSHES_STORAGE_REGION
  value: {{ . | quote }}
{{- end }}
{{- if .Values.storage.existingSecret }}
- name: RUSHES_STORAGE_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ .Values.storage.existingSecret }}, key: {{ .Values.storage.accessKeyIdKey }}}
- name: RUSHES_STORAGE_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ .Values.storage.existingSecret }}, key: {{ .Values.storage.secretAccessKeyKey }}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "rushes.environmentFrom" -}}
{{- range .Values.providerSecrets }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- end -}}

{{- define "rushes.mounts" -}}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
{{- if .Values.config }}
- {name: config, mountPath: /etc/rushes, readOnly: true}
{{- end }}
{{- end -}}

{{- define "rushes.volumes" -}}
- name: data
  emptyDir: {sizeLimit: {{ .Values.scratchSize }}}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.scratchSize }}}
{{- if .Values.config }}
- name: config
  configMap: {name: {{ include "rushes.fullname" . }}}
{{- end }}
{{- end -}}

{{- define "rushes.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
