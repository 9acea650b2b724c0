{{/* Names, labels, and parts that several objects share. */}}

{{- define "pricebook.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters, so that derived names stay within 63. */}}
{{- define "pricebook.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "pricebook.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pricebook.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Selector labels of pods: (dict "root" . "component" "server"), and "colour" if there are two. */}}
{{- define "pricebook.selector" -}}
app.kubernetes.io/name: {{ include "pricebook.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .colour }}
pricebook/colour: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of every object, from the same dictionary. */}}
{{- define "pricebook.labels" -}}
{{ include "pricebook.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* The reference of an image, from its repository, tag and digest. */}}
{{- define "pricebook.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The image of a colour: (dict "root" . "tag" "x" "digest" ""). The digest of the release is not that of another tag. */}}
{{- define "pricebook.serverImage" -}}
{{- $image := .root.Values.image }}
{{- $digest := .digest | default (ternary "" $image.digest (not (empty .tag))) }}
{{- $tag := .tag | default $image.tag | default .root.Chart.AppVersion }}
{{- include "pricebook.image" (dict "repository" $image.repository "tag" $tag "digest" $digest) }}
{{- end }}

{{/* The Deployments of servers, as a JSON list of name, colour, image and replicas: one, or green and blue. */}}
{{- define "pricebook.deployments" -}}
{{- $name := include "pricebook.fullname" . }}
{{- $found := list }}
{{- if .Values.colours.enabled }}
{{- range $colour := list "green" "blue" }}
{{- $own := get $.Values.colours $colour }}
{{- $image := include "pricebook.serverImage" (dict "root" $ "tag" $own.tag "digest" $own.digest) }}
{{- $each := dict "name" (printf "%s-%s" $name $colour) "colour" $colour "image" $image "replicas" $own.replicas }}
{{- $found = append $found $each }}
{{- end }}
{{- else }}
{{- $image := include "pricebook.serverImage" (dict "root" $ "tag" "" "digest" "") }}
{{- $found = append $found (dict "name" $name "colour" "" "image" $image "replicas" .Values.replicas) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* The live colour; empty without colours. */}}
{{- define "pricebook.live" -}}
{{- if .Values.colours.enabled }}{{ .Values.colours.live }}{{ end }}
{{- end }}

{{/* The image of the live servers, which jobs use as well. */}}
{{- define "pricebook.liveImage" -}}
{{- $live := include "pricebook.live" . }}
{{- range include "pricebook.deployments" . | fromJsonArray }}
{{- if eq .colour $live }}{{ .image }}{{ end }}
{{- end }}
{{- end }}

{{- define "pricebook.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "pricebook.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* The cluster-wide name of a Service: (dict "root" . "name" "x"). */}}
{{- define "pricebook.host" -}}
{{ .name }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{/*
The Service of the live servers, by its whole name. With colours it is the live one's own, so that changing the colour
changes what names it: connections that are kept to the other colour end.
*/}}
{{- define "pricebook.liveService" -}}
{{- $live := include "pricebook.live" . }}
{{- $name := include "pricebook.fullname" . }}
{{- include "pricebook.host" (dict "root" . "name" (ternary (printf "%s-%s" $name $live) $name .Values.colours.enabled)) }}
{{- end }}

{{/* The entrance for external requests, as JSON with name and port: the edge, or the Service of the servers. */}}
{{- define "pricebook.entrance" -}}
{{- $name := include "pricebook.fullname" . }}
{{- if .Values.edge.enabled }}
{{- dict "name" (printf "%s-edge" $name) "port" (int .Values.edge.service.port) | toJson }}
{{- else }}
{{- dict "name" $name "port" (int .Values.service.port) | toJson }}
{{- end }}
{{- end }}

{{/* The Secret, and its key, with the connection string. */}}
{{- define "pricebook.uriSecret" -}}
{{- if .Values.mongodb.own.enabled }}
name: {{ include "pricebook.mongodb.secret" . }}
key: uri
{{- else if .Values.mongodb.existingSecret.name }}
name: {{ .Values.mongodb.existingSecret.name }}
key: {{ .Values.mongodb.existingSecret.key }}
{{- else }}
name: {{ include "pricebook.fullname" . }}
key: uri
{{- end }}
{{- end }}

{{- define "pricebook.mongodb.name" -}}
{{ include "pricebook.fullname" . }}-mongodb
{{- end }}

{{- define "pricebook.mongodb.secret" -}}
{{ .Values.mongodb.own.existingSecret | default (include "pricebook.mongodb.name" .) }}
{{- end }}

{{/* The members of the own replica set: host:port, separated by commas. */}}
{{- define "pricebook.mongodb.members" -}}
{{- $name := include "pricebook.mongodb.name" . }}
{{- $found := list }}
{{- range $i := until (int .Values.mongodb.own.members) }}
{{- $host := include "pricebook.host" (dict "root" $ "name" (printf "%s-%d.%s" $name $i $name)) }}
{{- $found = append $found (printf "%s:27017" $host) }}
{{- end }}
{{- join "," $found }}
{{- end }}

{{/* A setting as the server reads it: Helm would render large numbers as 1e+06. */}}
{{- define "pricebook.text" -}}
{{- ternary (printf "%.0f" .) (toString .) (kindIs "float64" .) -}}
{{- end }}

{{/* A size in bytes, as nginx reads it. */}}
{{- define "pricebook.bytes" -}}
{{- $size := include "pricebook.nginxSize" . }}
{{- $unit := get (dict "k" 1024 "m" 1048576 "g" 1073741824) (regexFind "[kmg]$" $size) | default 1 }}
{{- mul (regexFind "^[0-9]+" $size | int64) $unit }}
{{- end }}

{{/* A size in nginx's notation: 64m for 64MiB. */}}
{{- define "pricebook.nginxSize" -}}
{{- regexReplaceAll "[ iIbB]" . "" | lower -}}
{{- end }}
