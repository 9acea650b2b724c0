{{/* Common parts of the pods of all components: scheduling and security contexts. */}}

{{/* For a pod: (dict "root" . "user" 10001). */}}
{{- define "pricebook.pod" -}}
serviceAccountName: {{ include "pricebook.serviceAccountName" .root }}
automountServiceAccountToken: false
# Otherwise a Service named pricebook would set PRICEBOOK_PORT=tcp://... in its pods.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* For a container. */}}
{{- define "pricebook.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Topology spread of pods with the same labels; takes the dictionary of pricebook.selector. */}}
{{- define "pricebook.spread" -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: {{ $.root.Values.topologySpread.maxSkew }}
  topologyKey: {{ . }}
  whenUnsatisfiable: {{ $.root.Values.topologySpread.whenUnsatisfiable }}
  labelSelector:
    matchLabels:
      {{- include "pricebook.selector" $ | nindent 6 }}
{{- end }}
{{- end }}

{{/* The environment of containers with Pricebook's image. */}}
{{- define "pricebook.env" -}}
envFrom:
  - configMapRef:
      name: {{ include "pricebook.fullname" . }}
env:
  - name: PRICEBOOK_MONGODB_URI
    valueFrom:
      secretKeyRef:
        {{- include "pricebook.uriSecret" . | trim | nindent 8 }}
{{- range $name, $value := .Values.environment }}
  - name: {{ $name }}
    value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Their mounts and volumes. */}}
{{- define "pricebook.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.mongodb.caSecret.name }}
- name: mongodb-ca
  mountPath: /etc/pricebook/mongodb
  readOnly: true
{{- end }}
{{- if .Values.trustedDocuments.configMap }}
- name: trusted-documents
  mountPath: /etc/pricebook/documents
  readOnly: true
{{- end }}
{{- end }}

{{- define "pricebook.volumes" -}}
# The files of prometheus_client's worker processes are here as well.
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmpSize }}
{{- with .Values.mongodb.caSecret }}
{{- if .name }}
- name: mongodb-ca
  secret:
    secretName: {{ .name }}
    items:
      - key: {{ .key }}
        path: {{ .key }}
{{- end }}
{{- end }}
{{- with .Values.trustedDocuments.configMap }}
- name: trusted-documents
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}

{{/* DNS, which every NetworkPolicy allows. */}}
{{- define "pricebook.dns" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}

{{/* The peers that a NetworkPolicy lets reach the entrance; empty, which allows all, without `networkPolicy.httpFrom`. */}}
{{- define "pricebook.entranceFrom" -}}
{{- with .Values.networkPolicy.httpFrom }}
from:
  {{- range ternary (list "test" "console") (list "test") $.Values.console.enabled }}
  - podSelector:
      matchLabels:
        {{- include "pricebook.selector" (dict "root" $ "component" .) | nindent 8 }}
  {{- end }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
