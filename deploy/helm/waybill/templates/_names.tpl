{{- define "waybill.labels" -}}
app.kubernetes.io/name: waybill
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: orchestrator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "waybill.selector" -}}
app.kubernetes.io/name: waybill
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: orchestrator
{{- end -}}

{{- define "waybill.name" -}}
{{ printf "%s-orchestrator" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "waybill.check" -}}
{{- if not .Values.worker.name -}}
{{- fail "worker.name: workers reach a service of their own; say its name, such as workers.waybill.example.com" -}}
{{- end -}}
{{- if and (eq .Values.worker.name (first .Values.names)) (eq (int .Values.worker.port) (int .Values.api.port)) -}}
{{- fail "worker.name: the first of names has this port already; workers need another name, or another worker.port" -}}
{{- end -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- if not .Values.database.secret -}}
{{- fail "replicas: more than one needs Postgres; name its secret in database.secret" -}}
{{- end -}}
{{- if ne .Values.keys.accessMode "ReadWriteMany" -}}
{{- fail "replicas: more than one shares the keys' volume; set keys.accessMode to ReadWriteMany" -}}
{{- end -}}
{{- end -}}
{{- end -}}
